/** Runs whose class centres AdamW moves. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { ClassCenters } from '@hyperarc/kernels-cuda';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { describeRun } from '../../dist/cli/dryRun.js';
import { checkConfig, type Config } from '../../dist/config/index.js';
import { writeSynthDataset } from '../../dist/synth/writeDataset.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { createSession } from '../../dist/train/session.js';
import { train, type TrainOptions } from '../../dist/train/train.js';

const STEPS = 5;
const IDENTITIES = 8;
let folder: string;

const adamw = { learningRate: 0.05, head: { kind: 'adamw', learningRate: 0.01, betas: [0.8, 0.99], epsilon: 1e-6 } };

function configure(
  optimizer: object = adamw,
  { source = undefined as string | undefined, faces = 'faces' } = {},
): Config {
  return checkConfig(
    {
      name: 'tiny',
      seed: 5,
      backend: 'wasm',
      output: join(folder, 'runs'),
      data: { root: join(folder, faces), imageSize: 16 },
      backbone: { name: 'iresnet10-w16', embeddingSize: 8, ...(source && { weights: source }) },
      head: { scale: 16, subCenters: 2, rate: 0.5, ...(source && { weights: source }) },
      optimizer,
      training: { steps: STEPS, batchSize: 4, accumulate: 2 },
      checkpoint: { every: 2 },
    },
    'test',
  );
}

/** Trains, and stops after `steps` updates as a signal would. */
async function trainFor(config: Config, options: Partial<TrainOptions> = {}, steps = Infinity): Promise<RunFolder> {
  const run = options.run ?? RunFolder.create(config);
  let asked = 0;
  const stop = {
    get signal() {
      return asked++ < steps ? undefined : ('SIGINT' as const);
    },
  };
  await train({ run, config, stream: new PassThrough().resume(), stop, ...options });
  return run;
}

const checkpoint = (run: RunFolder): string =>
  join(run.checkpointsPath, readdirSync(run.checkpointsPath).sort().at(-1)!);
const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const goOn = (run: RunFolder): Partial<TrainOptions> => ({ run, resume: { fallBack: false } });

let whole: RunFolder;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-head-adamw-'));
  await writeSynthDataset({ out: join(folder, 'faces'), identities: IDENTITIES, samples: 3, seed: 1, size: 32 });
  await writeSynthDataset({ out: join(folder, 'more'), identities: IDENTITIES + 2, samples: 3, seed: 1, size: 32 });
  whole = await trainFor(configure());
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('end in the same bits after an interruption', async () => {
  const torn = await trainFor(configure(), {}, 3);
  expect(checkpoint(torn)).toMatch(/step-00000003$/);
  await trainFor(configure(), goOn(torn));
  const names = readdirSync(checkpoint(whole)).filter((name) => /safetensors|state/.test(name));
  expect(names).toContain('head.safetensors');
  for (const name of names) {
    expect(digest(join(checkpoint(torn), name)), name).toBe(digest(join(checkpoint(whole), name)));
  }
  expect(digest(join(torn.modelPath, 'weights.bin'))).toBe(digest(join(whole.modelPath, 'weights.bin')));
});

it('save both moments and their count, and depend on every number of the section', async () => {
  using centers = await ClassCenters.load(join(checkpoint(whole), 'head.safetensors'), { device: 'cpu' });
  expect(centers.config.optimizer).toBe('adamw');
  expect(centers.updates).toBe(STEPS);
  const second = centers.readRows(0, 2 * IDENTITIES, 'secondMoment');
  expect(second.some((value) => value > 0)).toBe(true);
  expect(second.every((value) => value >= 0)).toBe(true);
  const head = { ...adamw.head };
  for (const change of [{ learningRate: 0.02 }, { betas: [0.9, 0.99] }, { epsilon: 1e-3 }, { weightDecay: 0.5 }]) {
    const other = await trainFor(configure({ ...adamw, head: { ...head, ...change } }));
    expect(digest(join(checkpoint(other), 'head.safetensors')), JSON.stringify(change)).not.toBe(
      digest(join(checkpoint(whole), 'head.safetensors')),
    );
  }
});

it('are not gone on with by SGD, nor a run of SGD by AdamW', async () => {
  const sgd = configure({ learningRate: 0.05 });
  const fix = 'go on with the same, or start a new run from its weights \\(backbone.weights and head.weights\\)';
  await expect(trainFor(sgd, goOn(whole))).rejects.toThrow(
    new RegExp(`^E_RANGE: optimizer.head.kind: expected adamw of the checkpoint, received sgd; ${fix}$`),
  );
  const stopped = await trainFor(sgd, {}, 3);
  await expect(trainFor(configure(), goOn(stopped))).rejects.toThrow(
    new RegExp(`^E_RANGE: optimizer.head.kind: expected sgd of the checkpoint, received adamw; ${fix}$`),
  );
});

it('start from centres of another run without its moments and its count, whichever optimizer it had', async () => {
  for (const optimizer of [adamw, { learningRate: 0.05 }]) {
    const source = checkpoint(optimizer === adamw ? whole : await trainFor(configure(optimizer)));
    const session = await createSession(configure(adamw, { source, faces: 'more' }), () => undefined);
    try {
      using trained = await ClassCenters.load(join(source, 'head.safetensors'), { device: 'cpu', momentum: false });
      const { centers } = session.head;
      expect(centers.shape[0]).toBe(IDENTITIES + 2);
      expect(centers.readRows(0, 2 * IDENTITIES)).toEqual(trained.readRows(0, 2 * IDENTITIES));
      const rows = 2 * (IDENTITIES + 2);
      const zeros = new Float32Array(8 * rows);
      expect(centers.readRows(0, rows, 'momentum')).toEqual(zeros);
      expect(centers.readRows(0, rows, 'secondMoment')).toEqual(zeros);
      expect(centers.updates).toBe(0);
    } finally {
      await session.close();
    }
  }
});

it('plan what they take', async () => {
  const bytes = 4 * 8 * 2 * IDENTITIES;
  const text = await describeRun(configure());
  expect(text).toMatch(new RegExp(`weights +${bytes} B\\n  first moment +${bytes} B\\n  second moment +${bytes} B\\n`));
  expect(text).toMatch(/\n {2}head:\n( {4}.*\n)* {4}kind: adamw\n/);
  // A head of SGD holds its momentum, also where the configuration makes no use of it.
  const without = await describeRun(configure({ momentum: 0 }));
  expect(without).toMatch(new RegExp(`weights +${bytes} B\\n  momentum +${bytes} B\\n  inverse norms`));
});
