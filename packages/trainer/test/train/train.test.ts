import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { checkConfig, type Config } from '../../dist/config/index.js';
import { describeFolder } from '../../dist/checkpoint/manifest.js';
import { readTrainingState } from '../../dist/checkpoint/trainingState.js';
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

  it.each<[string, object]>([
    ['adaface', { state: { kind: 'norm-quality', mean: expect.any(Number) as number } }],
    ['elasticface', { parameters: { plus: true }, state: { kind: 'random-margin', step: 8 } }],
    ['magface', { parameters: { lowerNorm: 0.1, upperNorm: 3 }, subCenters: 2, state: { kind: 'magnitude' } }],
  ])('goes on with a margin that adapts to the same bits: %s', async (loss, { state, ...keys }: { state?: object }) => {
    const raw = { loss, margin: undefined, scale: 16, ...keys };
    const config = configure({ head: raw, training: { steps: 4 } });
    const [straight, stopped] = [RunFolder.create(config), RunFolder.create(config)];
    await trainFor(straight, config);
    await trainFor(stopped, config, {}, 3);
    await trainFor(stopped, config, { resume: { fallBack: false } });
    expect(checkpointDigests(stopped, 4)).toEqual(checkpointDigests(straight, 4));
    expect(losses(stopped)).toEqual(losses(straight));
    const saved = readTrainingState(join(stopped.checkpointsPath, 'step-00000004', 'state.json'));
    // Two losses an update.
    expect(saved.head).toMatchObject({ samplerStep: 8, margin: { adaptations: [state] } });
  });

  it('takes class counts and groups from the data', async () => {
    const identities = readdirSync(join(folder, 'faces'));
    const groups = join(folder, 'groups.yaml');
    const margins = { a: 0.1, b: 0.4 };
    const write = (lines: string[]) => writeFileSync(groups, lines.join('\n'));
    write(identities.map((identity, i) => `${identity}: ${i % 2 === 0 ? 'a' : 'b'}`));
    for (const head of [
      { loss: 'class-variant' },
      { margin: undefined, loss: 'group-margin', parameters: { groups, margins } },
    ]) {
      const config = configure({ head, training: { steps: 1 } });
      await trainFor(RunFolder.create(config), config);
    }
    const config = configure({ head: { loss: 'group-margin', margin: undefined, parameters: { groups, margins } } });
    write(identities.slice(1).map((identity) => `${identity}: c`));
    await expect(trainFor(RunFolder.create(config), config)).rejects.toThrow(
      /head\.parameters\.groups: expected one of the groups a, b for identity \S+, received (undefined|c) in/,
    );
    rmSync(groups);
    await expect(trainFor(RunFolder.create(config), config)).rejects.toThrow(/expected a YAML or JSON file, received/);
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

  it("refuses to go on with other numbers of the margin, though the configuration's are the same", async () => {
    const config = configure({
      head: { loss: 'magface', margin: undefined, parameters: { lowerNorm: 0.1, upperNorm: 3 } },
    });
    const run = RunFolder.create(config);
    await trainFor(run, config, {}, 2);
    const folder = join(run.checkpointsPath, 'step-00000002');
    const [state, manifest] = [join(folder, 'state.json'), join(folder, 'manifest.json')];
    const saved = readTrainingState(state);
    expect(saved.margin).toMatchObject({
      name: 'magface',
      scale: 16,
      adaptive: [{ kind: 'magnitude', lowerNorm: 0.1 }],
    });
    // As if the default of upperMargin had been another when the run began.
    const [adaptation] = saved.margin!['adaptive'] as { upperMargin: number }[];
    const { upperMargin } = adaptation!;
    adaptation!.upperMargin = 0.9;
    const rewrite = async (changed: object) => {
      writeFileSync(state, JSON.stringify(changed));
      rmSync(manifest);
      writeFileSync(manifest, JSON.stringify(await describeFolder(folder, 2, null)));
    };
    await rewrite(saved);
    await expect(trainFor(run, config, { resume: { fallBack: false } })).rejects.toThrow(
      `E_RANGE: margin: expected the numbers of the checkpoint, received others (adaptive.0.upperMargin: was 0.9, now ${upperMargin}); give`,
    );
    // What was written before margins were recorded.
    const { margin: _, ...older } = saved;
    await rewrite(older);
    expect(await trainFor(run, config, { resume: { fallBack: false } }, 1)).toMatchObject({ step: 3 });
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
