import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { checkConfig } from '../../dist/config/index.js';
import { RunFolder } from '../../dist/train/runFolder.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-runs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('numbers run folders upwards and keeps the resolved configuration in each', () => {
  const config = checkConfig({ name: 'try', output: join(folder, 'runs'), data: { root: 'r' } }, 'test');
  expect(RunFolder.create(config).name).toBe('try-001');
  mkdirSync(join(folder, 'runs', 'try-007'));
  mkdirSync(join(folder, 'runs', 'try-other-030'));
  mkdirSync(join(folder, 'runs', 'try-old'));
  const run = RunFolder.create(config);
  expect(run.name).toBe('try-008');
  expect(RunFolder.open(`${run.path}/`).readConfig()).toEqual(config);
  expect(readdirSync(run.path)).toEqual(['config.yaml']);
});

it('refuses an output that cannot hold runs', () => {
  writeFileSync(join(folder, 'file'), '');
  const config = checkConfig({ name: 'try', output: join(folder, 'file'), data: { root: 'r' } }, 'test');
  expect(() => RunFolder.create(config)).toThrow(/E_RANGE: output: expected a folder .*, received .*file \(ENOTDIR\)/);
});

it('removes a run that never began, and no other', () => {
  const config = checkConfig({ name: 'try', output: folder, data: { root: 'r' } }, 'test');
  const failed = RunFolder.create(config);
  writeFileSync(failed.metricsPath, '');
  failed.removeUnstarted();
  expect(readdirSync(folder)).toEqual([]);
  const begun = RunFolder.create(config);
  mkdirSync(begun.checkpointsPath);
  begun.removeUnstarted();
  expect(readdirSync(begun.path)).toContain('config.yaml');
});

it('refuses a folder that is no run', () => {
  expect(() => RunFolder.open(folder)).toThrow(/E_FORMAT: run: expected a run folder with a config\.yaml/);
});
