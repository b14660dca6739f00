import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { checkConfig, type Config } from '../../dist/config/index.js';
import { readMetrics } from '../../dist/metrics/jsonLines.js';
import { writeSynthDataset } from '../../dist/synth/writeDataset.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { train, type TrainOptions } from '../../dist/train/train.js';

const STEPS = 6;
/** On a GPU (HYPERARC_TEST_DEVICE=cuda:0) with stochastic rounding: a resumed run has to draw the same bits. */
const TEST_DEVICE = process.env['HYPERARC_TEST_DEVICE'];
const TEST_HEAD = TEST_DEVICE === undefined ? {} : { device: TEST_DEVICE, precision: 'bf16-master' };
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-train-'));
  await writeSynthDataset({ out: join(folder, 'faces'), identities: 8, samples: 4, seed: 1, size: 32 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function configure(changes: Record<string, object> = {}): Config {
  const raw: Record<string, object | string | number> = {
    name: 'tiny',
    seed: 5,
    output: join(folder, 'runs'),
    data: { root: join(folder, 'faces'), heldOut: 2, imageSize: 16 },
    backbone: { name: 'iresnet10-w16', embeddingSize: 8, dropout: 0.2 },
    head: { scale: 16, margin: 0.2, rate: 0.5, ...TEST_HEAD },
    optimizer: { learningRate: 0.05, decayNormAndBias: false },
    schedule: { kind: 'cosine', warmupSteps: 2 },
    training: { steps: STEPS, batchSize: 4, accumulate: 2, logEvery: 4 },
    checkpoint: { every: 2, keepLast: 2 },
  };
  for (const [section, keys] of Object.entries(changes)) raw[section] = { ...(raw[section] as object), ...keys };
  return checkConfig(raw, 'test');
}

const silent = (): PassThrough => new PassThrough().resume();

/** Trains, and stops after `steps` updates as a signal would. */
function trainFor(run: RunFolder, config: Config, options: Partial<TrainOptions> = {}, steps = Infinity) {
  let asked = 0;
  const stop = {
    get signal() {
      return asked++ < steps ? undefined : ('SIGINT' as const);
    },
  };
  return train({ run, config, stream: silent(), stop, ...options });
}

const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Digests of every file of a checkpoint that decides how training goes on. */
function checkpointDigests(run: RunFolder, step: number): Record<string, string> {
  const path = join(run.checkpointsPath, `step-${String(step).padStart(8, '0')}`);
  const names = readdirSync(path).filter((name) => /safetensors|state/.test(name));
  expect(names).toHaveLength(4);
  return Object.fromEntries(names.map((name) => [name, digest(join(path, name))]));
}

const losses = (run: RunFolder): number[][] =>
  readMetrics(run.metricsPath).map((record) =>
    record.kind === 'train' ? [record.step, record.loss, record.gradientNorm] : [],
  );

describe('train', () => {
  let whole: RunFolder;
  beforeAll(async () => {
    whole = RunFolder.create(configure());
    const result = await trainFor(whole, configure());
    expect(result).toMatchObject({ step: STEPS, totalSteps: STEPS, stoppedBy: undefined });
  });

  it('leaves metrics, events, the newest checkpoints and a model behind', () => {
    expect(readdirSync(whole.path).sort()).toEqual(['checkpoints', 'config.yaml', 'events', 'metrics.jsonl', 'model']);
    expect(losses(whole).map(([step]) => step)).toEqual([4, STEPS]);
    expect(losses(whole).flat().every(Number.isFinite)).toBe(true);
    expect(readdirSync(whole.checkpointsPath)).toContain('step-00000006');
  });

  it('goes on after an interruption to the same bits, in a checkpoint interval and in a log window', async () => {
    const run = RunFolder.create(configure());
    const stopped = await trainFor(run, configure(), {}, 3);
    expect(stopped).toMatchObject({ step: 3, stoppedBy: 'SIGINT' });
    await trainFor(run, configure(), { resume: { fallBack: false } });
    expect(checkpointDigests(run, STEPS)).toEqual(checkpointDigests(whole, STEPS));
    expect(digest(join(run.modelPath, 'weights.bin'))).toBe(digest(join(whole.modelPath, 'weights.bin')));
    expect(losses(run)).toEqual(losses(whole));
    const again = await trainFor(run, configure(), { resume: { fallBack: false } });
    expect(again).toMatchObject({ step: STEPS, checkpoint: join(run.checkpointsPath, 'step-00000006') });
  });

  it('refuses a damaged checkpoint, and falls back to the one before when told to', async () => {
    const run = RunFolder.create(configure());
    await trainFor(run, configure(), {}, 4);
    truncateSync(join(run.checkpointsPath, 'step-00000004', 'head.safetensors'), 50);
    await expect(trainFor(run, configure(), { resume: { fallBack: false } })).rejects.toThrow(
      /E_FORMAT: .*head\.safetensors: expected \d+ bytes, received 50; give --fall-back to go on from .*step-00000002/,
    );
    await trainFor(run, configure(), { resume: { fallBack: true } });
    expect(checkpointDigests(run, STEPS)).toEqual(checkpointDigests(whole, STEPS));
    expect(losses(run)).toEqual(losses(whole));
  });

  it('refuses to go on with other images', async () => {
    const config = configure({ data: { heldOut: 3 } });
    await expect(trainFor(whole, config, { resume: { fallBack: false } })).rejects.toThrow(
      /E_RANGE: data: expected the 6 training identities of the checkpoint, received 5/,
    );
  });

  it('stops when it diverges, says where, and keeps what was saved before', async () => {
    const config = configure({ optimizer: { learningRate: 1e30, clipNorm: 1e30 }, schedule: { warmupSteps: 0 } });
    const run = RunFolder.create(config);
    const started = await trainFor(run, configure(), {}, 2);
    await expect(trainFor(run, config, { resume: { fallBack: false } })).rejects.toThrow(
      /E_NONFINITE: step \d: expected .*optimizer\.learningRate/,
    );
    expect(started.checkpoint).toContain('step-00000002');
    expect(readdirSync(run.checkpointsPath)).toContain('step-00000002');
  });

  it('verifies held-out identities on the way', async () => {
    const config = configure({ evaluate: { every: 2, pairs: 20, folds: 2 }, training: { steps: 2 } });
    const run = RunFolder.create(config);
    await trainFor(run, config);
    const records = readMetrics(run.metricsPath).filter(({ kind }) => kind === 'evaluate');
    expect(records).toMatchObject([{ step: 2 }]);
  });
});
