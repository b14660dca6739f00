import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { ClassCenters } from '../../dist/index.js';

const example = fileURLToPath(new URL('../../../../examples/engine.mjs', import.meta.url));
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

it('is the example of the README', () => {
  const [, code] = /```js\n([\s\S]*?)```/.exec(readFileSync(readme, 'utf8')) ?? [];
  expect(code).toBe(readFileSync(example, 'utf8'));
});
