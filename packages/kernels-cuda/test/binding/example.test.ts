import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { ClassCenters } from '../../dist/index.js';

const exampleFile = (name: string) => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
const example = exampleFile('engine.mjs');
const readme = fileURLToPath(new URL('../../README.md', import.meta.url));

it('examples/engine.mjs runs, its loss falls, and what it saves can be loaded', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hyperarc-example-'));
  try {
    const file = join(folder, 'centers.safetensors');
    const { status, stdout, stderr } = spawnSync(process.execPath, [example, file], { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    const losses = [...stdout.matchAll(/loss ([\d.]+)/g)].map((match) => Number(match[1]));
    expect(losses).toHaveLength(4);
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 2);
    using centers = await ClassCenters.load(file, { device: 'cpu' });
    expect(centers.shape).toEqual([10_000, 1, 128]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('examples/margins.mjs runs: another family another loss, and harder negatives are learnt', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [exampleFile('margins.mjs')], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  const lossOf = (name: string) => Number(new RegExp(`^${name}: loss ([\\d.]+)`, 'm').exec(stdout)?.[1]);
  expect(lossOf('sphereFace')).toBeLessThan(lossOf('arcFace'));
  // A wider margin is a larger loss.
  expect(Number(/first sample: (\S+)/.exec(stdout)?.[1])).toBeGreaterThan(0);
  expect(lossOf('CurricularFace, step 9')).toBeLessThan(lossOf('CurricularFace, step 0') / 2);
});

it('are the examples of the README', () => {
  const code = [...readFileSync(readme, 'utf8').matchAll(/```js\n([\s\S]*?)```/g)].map(([, body]) => body);
  expect(code).toEqual(['engine.mjs', 'margins.mjs'].map((name) => readFileSync(exampleFile(name), 'utf8')));
});
