import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { RunFolder } from '../../dist/train/runFolder.js';
import { RunLock } from '../../dist/train/runLock.js';
import { train } from '../../dist/train/train.js';
import { imageFolder } from '../data/fixtures.js';
import { bitsOf, tinyConfig, trainHere } from './interruptedRun.js';

const library = new URL('../../dist/train/runLock.js', import.meta.url).href;
const ignore = () => undefined;
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-lock-'));
  path = join(folder, 'lock.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Holder = { pid: number; began: string; host: string; place: string; since: string };

/** The file as this process would write it, changed. */
function write(changes: Partial<Holder> = {}): void {
  const lock = new RunLock(folder, ignore);
  const holder = JSON.parse(readFileSync(path, 'utf8')) as Holder;
  lock[Symbol.dispose]();
  writeFileSync(path, JSON.stringify({ ...holder, ...changes }));
}

/** Takes the run, gives it back, and tells what was logged. */
function take(): string[] {
  const log: string[] = [];
  new RunLock(folder, (line) => log.push(line))[Symbol.dispose]();
  return log;
}

describe('RunLock', () => {
  it('is one process’s until it is given back, and leaves nothing', () => {
    const lock = new RunLock(folder, ignore);
    expect(take).toThrow(
      `E_BUSY: run: expected ${folder} to be trained by no other process, received process ${process.pid} on `,
    );
    expect(() => lock.requireHeld()).not.toThrow();
    lock[Symbol.dispose]();
    expect(readdirSync(folder)).toEqual([]);
    expect(take()).toEqual([]);
  });

  it('is taken over from a process that was killed', () => {
    const program = `import { RunLock } from ${JSON.stringify(library)};
      new RunLock(${JSON.stringify(folder)}, () => undefined);
      process.kill(process.pid, 'SIGKILL');`;
    const { pid, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program]);
    expect([signal, existsSync(path)]).toEqual(['SIGKILL', true]);
    expect(take()).toEqual([expect.stringMatching(`^going on in place of process ${pid} on .*, which has ended$`)]);
    expect(readdirSync(folder)).toEqual([]);
  });

  // The kernel's numbers go round. When a process began is told by Linux alone.
  it.runIf(process.platform === 'linux')('is taken over from a process whose number another has now', () => {
    write({ began: '1' });
    expect(take()).toHaveLength(1);
  });

  it('is left to a process elsewhere while that gives signs of life', () => {
    const elsewhere = { pid: 7, host: 'node-3', place: 'node-3 another-boot pid:[1]' };
    write(elsewhere);
    utimesSync(path, minutesAgo(4), minutesAgo(4));
    expect(take).toThrow(
      /received process 7 on node-3 since .*, whose last sign of life is 24\d s old; stop it, or if/,
    );
    utimesSync(path, minutesAgo(6), minutesAgo(6));
    expect(take()).toEqual(['going on in place of process 7 on node-3, which has ended']);
  });

  it('is not thought free by a damaged file before its time', () => {
    for (const text of ['', '{', 'null', '{"pid":1}']) {
      writeFileSync(path, text);
      expect(take).toThrow(
        /received one that its lock.json does not tell, whose last sign of life is \d s old; .* remove /,
      );
      utimesSync(path, minutesAgo(6), minutesAgo(6));
      expect(take()).toEqual(['going on in place of another process, which has ended']);
    }
  });

  it('knows when it was taken over, and when its file is gone', () => {
    const lock = new RunLock(folder, ignore);
    rmSync(path);
    lock.requireHeld();
    expect(take).toThrow('E_BUSY');
    writeFileSync(path, readFileSync(path, 'utf8').replace(`"pid":${process.pid}`, '"pid":7'));
    expect(() => lock.requireHeld()).toThrow(
      /E_BUSY: .* received process 7 on .*, which took it over; this process ends/,
    );
    lock[Symbol.dispose]();
    expect(readdirSync(folder)).toEqual(['lock.json']);
  });
});

describe('a run', () => {
  it('is trained by one process at a time, and the loser of a run leaves it as it is', async () => {
    await imageFolder(8, 4, 24, join(folder, 'faces'));
    const config = tinyConfig(folder, 'busy', 6);
    const run = RunFolder.create(config);
    await trainHere(run, { ...config, training: { ...config.training, maxHours: 1e-9 } });
    const before = bitsOf(run);
    const held = new RunLock(run.path, ignore);
    await expect(trainHere(run, config, true)).rejects.toThrow(/E_BUSY/);
    held[Symbol.dispose]();
    expect(bitsOf(run)).toEqual(before);

    // Another process takes it over before the second checkpoint from here on.
    const lockPath = join(run.path, 'lock.json');
    const overtaken = {
      write: (line: string) => {
        if (/^saved .*step-00000002/.test(line)) {
          writeFileSync(lockPath, readFileSync(lockPath, 'utf8').replace(`"pid":${process.pid}`, '"pid":7'));
        }
        return true;
      },
    };
    const stream = overtaken as NodeJS.WriteStream;
    await expect(train({ config, run, resume: { fallBack: false }, stream })).rejects.toThrow(/took it over/);
    expect(readdirSync(run.checkpointsPath).sort()).toEqual(['step-00000001', 'step-00000002']);

    rmSync(lockPath);
    expect(await trainHere(run, config, true)).toMatchObject({ step: 6, end: 'finished' });
    expect(existsSync(lockPath)).toBe(false);
  });
});
