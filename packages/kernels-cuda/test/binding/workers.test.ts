/** The addon in worker threads, and ends of threads and processes while work is in flight. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import { describe, expect, it } from 'vitest';

import { isCpu } from './support.js';

const program = (name: string) => fileURLToPath(new URL(`./programs/${name}.mjs`, import.meta.url));

interface Answer {
  loss: number;
  digest: string;
  rowGradients: string;
}

function trainInWorker(): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(program('train'));
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}

/** Runs a program with Node; a crash shows as a signal. */
function run(name: string, ...args: string[]) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program(name), ...args], {
    encoding: 'utf8',
  });
  return { status, signal, stdout, stderr };
}

describe('worker threads', () => {
  it('two at once give the bits of a process of its own', async () => {
    const [a, b] = await Promise.all([trainInWorker(), trainInWorker()]);
    const { stdout } = await promisify(execFile)(process.execPath, [program('train')]);
    expect(a).toEqual(JSON.parse(stdout));
    expect(b).toEqual(a);
    expect(a.loss).toBeGreaterThan(0);
  });

  it('can be the only ones that load the addon', () => {
    expect(run('worker-only')).toMatchObject({ status: 0, signal: null, stdout: 'agreed\n' });
  });

  it('can be terminated while operations are in flight', async () => {
    for (let i = 0; i < 4; i += 1) {
      const worker = new Worker(program('busy'));
      await new Promise((resolve, reject) => {
        worker.on('message', resolve);
        worker.on('error', reject);
      });
      expect(await worker.terminate()).toBe(1);
    }
  });
});

describe('a process', () => {
  it('can exit while operations are in flight', () => {
    expect(run('busy', 'exit')).toMatchObject({ status: 0, signal: null });
  });

  it('can end of an uncaught error while operations are in flight', () => {
    const end = run('busy', 'throw');
    expect(end).toMatchObject({ status: 1, signal: null });
    expect(end.stderr).toContain('on purpose');
  });

  it('stays until every promise is settled, though the device was disposed', () => {
    expect(run('busy', 'drop')).toMatchObject({ status: 0, signal: null });
  });

  // It looks at the memory of the process.
  it.runIf(isCpu)('frees what was never disposed when it is collected', () => {
    const args = ['--expose-gc', program('collect')];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    const { madeBytes, peakBytes } = JSON.parse(stdout) as { madeBytes: number; peakBytes: number };
    expect(peakBytes).toBeLessThan(madeBytes / 2);
  });
});
