import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { CheckpointStore } from '../../dist/checkpoint/store.js';
import { trainingExit } from '../../dist/cli/exitCodes.js';
import type { Config } from '../../dist/config/index.js';
import { readMetrics } from '../../dist/metrics/jsonLines.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { train } from '../../dist/train/train.js';
import { loadTrained } from '../../dist/train/trainedModel.js';
import { imageFolder } from '../data/fixtures.js';
import { bitsOf, HYPERARC, tinyConfig, trainHere, writeConfig } from './interruptedRun.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-ending-'));
  await imageFolder(8, 4, 24, join(folder, 'faces'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A run whose loss cannot fall by 1000: early stopping on it ends the run three lines after its first. */
function hopeless(name: string): Config {
  const config = tinyConfig(folder, name, 12);
  return {
    ...config,
    training: { ...config.training, logEvery: 1, earlyStop: { on: 'loss', patience: 3, minDelta: 1000 } },
    checkpoint: { every: 1, keepLast: 1, keepBest: 2 },
  };
}

/** A stream that ends the program that writes such a line. */
const throwing = (at: RegExp) => ({
  write: (line: string) => {
    if (at.test(line)) throw new Error('killed');
    return true;
  },
});

const manifestOf = (path: string) =>
  JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8')) as { step: number; score: number };

describe('the end of a run', () => {
  it('comes early when its loss does not fall, at the same step and score with an interruption on the way', async () => {
    const straight = RunFolder.create(hopeless('straight'));
    const result = await trainHere(straight, hopeless('straight'));
    expect(result).toMatchObject({ step: 4, totalSteps: 12, end: 'early-stop', stoppedBy: undefined });
    expect(result.reason).toMatch(
      /^loss has not fallen by more than 1000 in 3 lines of the log since [\d.]+ at step 1$/,
    );
    expect(trainingExit(result)).toBe(0);

    const config = hopeless('paused');
    const paused = RunFolder.create(config);
    const first = await trainHere(paused, { ...config, training: { ...config.training, maxHours: 1e-9 } });
    expect(first).toMatchObject({ step: 1, end: 'time', reason: '1e-9 hours are over (training.maxHours)' });
    expect(trainingExit(first)).toBe(124);
    await trainHere(paused, config, true);
    expect(bitsOf(paused)).toEqual(bitsOf(straight));

    // It has ended: nothing more to do, unless early stopping is taken back.
    expect(await trainHere(paused, config, true)).toMatchObject({ step: 4, end: 'early-stop' });
    const { earlyStop: _, ...training } = config.training;
    expect(await trainHere(paused, { ...config, training }, true)).toMatchObject({ step: 12, end: 'finished' });
  });

  it('leaves a model that no later step of a resumed and killed run is taken for', async () => {
    const config = tinyConfig(folder, 'killed', 6);
    config.checkpoint = { ...config.checkpoint, every: 2 };
    const run = RunFolder.create(config);
    await trainHere(run, { ...config, training: { ...config.training, maxHours: 1e-9 } });
    (await loadTrained(run.path)).dispose();

    // Killed before it has saved anything: the model is still that of the newest checkpoint.
    const killedAt = (line: RegExp) =>
      train({ config, run, resume: { fallBack: false }, stream: throwing(line) as NodeJS.WriteStream });
    await expect(killedAt(/^going on/)).rejects.toThrow('killed');
    (await loadTrained(run.path)).dispose();

    await expect(killedAt(/^saved .*step-00000004/)).rejects.toThrow('killed');
    await expect(loadTrained(run.path)).rejects.toThrow(
      /received one that has not ended; .*or give its newest checkpoint, .*step-00000004/,
    );
    await trainHere(run, config, true);
    (await loadTrained(run.path)).dispose();
  });

  it('comes with a checkpoint when nobody takes its output any more', async () => {
    const config = tinyConfig(folder, 'unheard', 2000);
    config.training.logEvery = 1;
    config.checkpoint.every = 0;
    const child = spawn(process.execPath, [HYPERARC, 'train', writeConfig(folder, config)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    let complaints = '';
    child.stderr.on('data', (data: Buffer) => (complaints += String(data)));
    child.stdout.on('data', (data: Buffer) => {
      said += String(data);
      if (said.includes('step 2/2000')) child.stdout.destroy();
    });
    const [code] = (await once(child, 'close')) as [number];
    expect(complaints).not.toContain('EPIPE');
    expect(code).toBe(141);
    const run = RunFolder.open(/^run (.*)$/m.exec(said)![1]!);
    const [saved] = new CheckpointStore(run.checkpointsPath).list();
    expect(saved!.step).toBeGreaterThanOrEqual(2);
    expect(saved!.step).toBeLessThan(2000);
    expect(readMetrics(run.metricsPath).at(-1)!.step).toBe(saved!.step);
    expect(existsSync(run.modelPath)).toBe(true);
  });

  it('leaves the newest checkpoint and the best of all, by loss where nothing is verified', async () => {
    const run = RunFolder.create(hopeless('kept'));
    const { best, checkpoint } = await trainHere(run, hopeless('kept'));
    const losses = readMetrics(run.metricsPath).map((record) => (record.kind === 'train' ? record.loss : NaN));
    const bySize = losses.map((loss, i) => ({ loss, step: i + 1 })).sort((a, b) => a.loss - b.loss);
    const kept = new Set([bySize[0]!.step, bySize[1]!.step, 4]);
    expect(new CheckpointStore(run.checkpointsPath).list().map(({ step }) => step)).toEqual([...kept].sort());
    expect(manifestOf(best!)).toMatchObject({ step: bySize[0]!.step, score: -bySize[0]!.loss });
    expect(manifestOf(checkpoint).step).toBe(4);
  });

  it('comes early by held-out accuracy, which a resumed run remembers as its score', async () => {
    const config = hopeless('verified');
    config.training.earlyStop = { on: 'accuracy', patience: 1, minDelta: 0.9 };
    config.evaluate = { ...config.evaluate, every: 2, pairs: 20, folds: 2 };
    config.checkpoint.keepLast = 9;
    const run = RunFolder.create(config);
    const first = await trainHere(run, { ...config, training: { ...config.training, steps: 2, earlyStop: undefined } });
    const { score } = manifestOf(first.checkpoint);
    expect(score).toBeGreaterThan(0);
    const result = await trainHere(run, config, true);
    expect(result).toMatchObject({ end: 'early-stop', step: 6 });
    expect(manifestOf(join(run.checkpointsPath, 'step-00000003')).score).toBe(score);
    expect(result.reason).toMatch(
      /^held-out accuracy has not risen by more than 0\.9 in 1 verifications since [\d.]+% at step 4$/,
    );
  });

  it('refuses early stopping by accuracy where nothing is held out', async () => {
    const config = hopeless('blind');
    config.training.earlyStop = { on: 'accuracy', patience: 1, minDelta: 0 };
    config.evaluate.every = 2;
    config.data.heldOut = 0;
    await expect(trainHere(RunFolder.create(config), config)).rejects.toThrow(
      /E_RANGE: training\.earlyStop\.on: expected something to verify with accuracy, received none; give data\.heldOut/,
    );
  });

  it('is not touched by a resume that is refused', async () => {
    const config = { ...tinyConfig(folder, 'refused', 2) };
    const run = RunFolder.create(config);
    await trainHere(run, config);
    const copy = join(folder, 'copy');
    cpSync(run.path, copy, { recursive: true });
    const other = { ...config, data: { ...config.data, heldOut: 3 } };
    await expect(trainHere(run, other, true)).rejects.toThrow(
      /E_RANGE: data: expected the 6 training identities of the checkpoint, received 5 in .*; go on with the same images/,
    );
    const everything = (path: string) =>
      readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort()
        .map((file) => [file.slice(path.length), readFileSync(file).toString('base64')]);
    expect(everything(run.path)).toEqual(everything(copy));
  });
});
