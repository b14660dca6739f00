import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it, vi } from 'vitest';

import { main } from '../../dist/cli/main.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-start-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('draws faces, trains, verifies people kept out, and writes a report; a second time the faces are there', async () => {
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  const small = [
    `data.root=${join(folder, 'faces')}`,
    `output=${join(folder, 'runs')}`,
    'data.heldOut=4',
    'data.imageSize=16',
    'synth={identities: 10, samples: 4, imageSize: 32}',
    'backbone={name: iresnet10-w16, embeddingSize: 8}',
    'training={epochs: 1, batchSize: 8}',
    'evaluate={pairs: 20, folds: 2}',
  ];
  try {
    expect(await main(['start', ...small])).toBe(0);
    expect(await main(['start', ...small])).toBe(0);
  } finally {
    spy.mockRestore();
  }
  const output = written.join('');
  expect(output).toMatch(/Accuracy on people never seen: raw pixels [\d.]+% +untrained [\d.]+% +trained [\d.]+%/);
  expect(output.match(/drawn in/g)).toHaveLength(1);
  expect(output).toContain('already there');
  expect(readdirSync(join(folder, 'runs'))).toEqual(['quickstart-001', 'quickstart-002']);
  const run = join(folder, 'runs', 'quickstart-002');
  expect(output).toContain(join(run, 'report.html'));
  expect(readFileSync(join(run, 'report.html'), 'utf8')).toContain('quickstart-002');
  expect(existsSync(join(run, 'evaluation.json'))).toBe(true);
});
