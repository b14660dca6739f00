import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { explainFullDisk } from '../../dist/train/fullDisk.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { imageFolder } from '../data/fixtures.js';
import { bitsOf, HYPERARC, live, tinyConfig, trainHere } from './interruptedRun.js';

const STEPS = 6;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-full-'));
  await imageFolder(8, 4, 24, join(folder, 'faces'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const canMount = (): boolean =>
  spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' }).status === 0;

/** KiB of each file below `path`, in whole pages, as tmpfs holds them. */
const kibOfFiles = (path: string): number[] =>
  readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(path, name)))
    .map((file) => 4 * Math.ceil(file.size / 4096));
const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);

/**
 * Goes on with a run on a disk that has no room for another checkpoint: a small tmpfs where one can be mounted, else under a limit on
 * the size of files. The first vanishes with its process, so the run is copied there and back.
 */
function goOnWithoutRoom(run: RunFolder, back: string) {
  const command = `"${process.execPath}" "${HYPERARC}" train --resume`;
  const checkpoint = kibOfFiles(run.checkpointsPath);
  const disk = Math.ceil(sum(kibOfFiles(run.path)) + sum(checkpoint) / 2);
  const script = canMount()
    ? `mount -t tmpfs -o size=${disk}k none "${back}" && cp -a "${run.path}" "${back}/full" && ${command} "${back}/full"
       code=$?; cp -a "${back}/full" "${folder}/after" && exit $code`
    : `cp -a "${run.path}" "${folder}/after" && ulimit -f ${Math.floor(Math.max(...checkpoint) / 2)} && ${command} "${folder}/after"`;
  const [program, ...args] = [...(canMount() ? ['unshare', '-rm'] : []), 'bash', '-c', script];
  return live(program!, args);
}

it('ends with what to do, the older checkpoint whole and nothing half-written, and goes on once there is room', async () => {
  const whole = RunFolder.create(tinyConfig(folder, 'whole', STEPS));
  await trainHere(whole, tinyConfig(folder, 'whole', STEPS));

  const config = tinyConfig(folder, 'full', STEPS);
  const run = RunFolder.create(config);
  const first = await trainHere(run, { ...config, training: { ...config.training, maxMinutes: 1e-6 } });
  expect(first).toMatchObject({ step: 1, end: 'time', reason: '0.000001 minutes are over (training.maxMinutes)' });
  // As after a kill: the model of a stop goes with the next checkpoint, and makes room.
  for (const model of [run.modelPath, `${run.modelPath}-raw`]) rmSync(model, { recursive: true });
  mkdirSync(join(folder, 'small'));
  const { code, output } = await goOnWithoutRoom(run, join(folder, 'small'));
  expect(output).toMatch(
    /hyperarc: E_RANGE: output: expected room on the disk of (\S+), received E(?:NOSPC|FBIG).*; checkpoints saved before are whole: make room, then go on with hyperarc train --resume \1\n$/,
  );
  expect(code).toBe(1);

  const after = RunFolder.open(join(folder, 'after'));
  expect(readdirSync(after.checkpointsPath)).toEqual(['step-00000001']);
  expect(readdirSync(after.path).sort()).toEqual(['checkpoints', 'config.yaml', 'events', 'metrics.jsonl']);
  await trainHere(after, config, true);
  expect(bitsOf(after)).toEqual(bitsOf(whole));
});

it('says so where there is no checkpoint yet, and leaves other errors as they are', () => {
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', path: 'runs/a/x' });
  expect((explainFullDisk(full, 'runs/a', false) as Error).message).toBe(
    'E_RANGE: output: expected room on the disk of runs/a, received ENOSPC at runs/a/x; no checkpoint had been saved: make room, or give another folder with output=FOLDER, and start again',
  );
  const other = new Error('EACCES');
  expect(explainFullDisk(other, 'runs/a', true)).toBe(other);
});
