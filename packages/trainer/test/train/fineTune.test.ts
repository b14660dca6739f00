import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { describeFolder } from '../../dist/checkpoint/manifest.js';
import { loadModelFolder, readModelFolderWeights } from '../../dist/checkpoint/modelFolder.js';
import { readModelWeights, readSafetensors } from '../../dist/checkpoint/index.js';
import { checkConfig, type Config } from '../../dist/config/index.js';
import { readMetrics } from '../../dist/metrics/jsonLines.js';
import { MovingAverage } from '../../dist/optim/index.js';
import { writeSynthDataset } from '../../dist/synth/writeDataset.js';
import { RunFolder } from '../../dist/train/runFolder.js';
import { createSession, type Session } from '../../dist/train/session.js';
import { train, type TrainOptions } from '../../dist/train/train.js';

const STEPS = 4;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-tune-'));
  await writeSynthDataset({ out: join(folder, 'faces'), identities: 8, samples: 3, seed: 1, size: 32 });
  await writeSynthDataset({ out: join(folder, 'more'), identities: 9, samples: 3, seed: 1, size: 32 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function configure(changes: Record<string, object> = {}): Config {
  const raw: Record<string, object | string | number> = {
    name: 'tiny',
    seed: 5,
    output: join(folder, 'runs'),
    data: { root: join(folder, 'faces'), heldOut: 4, imageSize: 16 },
    backbone: { name: 'iresnet10-w16', embeddingSize: 8, dropout: 0.2 },
    head: { scale: 16, margin: 0.2, subCenters: 2 },
    optimizer: { kind: 'adamw', learningRate: 0.01, head: { learningRate: 0.05 } },
    training: { steps: STEPS, batchSize: 4, ema: { decay: 0.5 } },
    checkpoint: { every: 2 },
  };
  for (const [section, keys] of Object.entries(changes)) raw[section] = { ...(raw[section] as object), ...keys };
  return checkConfig(raw, 'test');
}

/** Trains, stops after `steps` updates as a signal would, and gives back the run and what it printed. */
async function trainFor(config: Config, options: Partial<TrainOptions> = {}, steps = Infinity) {
  const run = options.run ?? RunFolder.create(config);
  const stream = new PassThrough();
  let printed = '';
  stream.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  let asked = 0;
  const stop = {
    get signal() {
      return asked++ < steps ? undefined : ('SIGINT' as const);
    },
  };
  await train({ run, config, stream, stop, ...options });
  return { run, printed };
}

const checkpoint = (run: RunFolder, step = STEPS): string =>
  join(run.checkpointsPath, `step-${String(step).padStart(8, '0')}`);
const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const weightsIn = (path: string): Record<string, number[]> =>
  Object.fromEntries([...readSafetensors(path)].map(([name, { values }]) => [name, [...values]]));
const floats = (weights: Record<string, number[]>): Record<string, number[]> =>
  Object.fromEntries(Object.entries(weights).filter(([name]) => !name.endsWith('dropout/step')));

async function withSession<T>(config: Config, use: (session: Session, log: string[]) => T | Promise<T>): Promise<T> {
  const log: string[] = [];
  const session = await createSession(config, (line) => log.push(line));
  try {
    return await use(session, log);
  } finally {
    await session.close();
  }
}

/** Centres of each identity by its name. */
function centersOf({ head, datasets }: Session): Record<string, number[]> {
  const [, subCenters, dim] = head.centers.shape;
  const rows = head.centers.readRows(0, datasets.train.identities.length * subCenters);
  const size = subCenters * dim;
  return Object.fromEntries(
    datasets.train.identities.map((name, i) => [name, [...rows.subarray(i * size, (i + 1) * size)]]),
  );
}

/** Twice on the way. */
const verifying = { every: 2, pairs: 20, folds: 2 };

/** Trains, and counts how often the averages were lent to the backbone. */
async function trainCounting(config: Config): Promise<{ run: RunFolder; lent: number }> {
  const lend = vi.spyOn(MovingAverage.prototype, 'apply');
  try {
    const { run } = await trainFor(config);
    return { run, lent: lend.mock.calls.length };
  } finally {
    lend.mockRestore();
  }
}

/** The run that others start from. */
let base: RunFolder;
let baseLent: number;
beforeAll(async () => {
  ({ run: base, lent: baseLent } = await trainCounting(configure({ evaluate: verifying })));
});

describe('a run with AdamW and a moving average', () => {
  it('goes on after an interruption to the same bits', async () => {
    const config = configure({ evaluate: verifying });
    const { run } = await trainFor(config, {}, 3);
    await trainFor(config, { run, resume: { fallBack: false } });
    const names = readdirSync(checkpoint(base)).filter((name) => /safetensors|state|identities/.test(name));
    expect(names.sort()).toEqual([
      'backbone.safetensors',
      'ema.safetensors',
      'head.safetensors',
      'identities.json',
      'optimizer.safetensors',
      'state.json',
    ]);
    for (const name of names)
      expect(digest(join(checkpoint(run), name)), name).toBe(digest(join(checkpoint(base), name)));
    for (const model of ['model', 'model-raw']) {
      expect(digest(join(run.path, model, 'weights.bin'))).toBe(digest(join(base.path, model, 'weights.bin')));
    }
  });

  it('verifies and saves the averages, and the weights themselves beside them, or the other way round', async () => {
    const [raw, averaged] = ['backbone', 'ema'].map((name) => weightsIn(join(checkpoint(base), `${name}.safetensors`)));
    expect(raw).not.toEqual(averaged);
    const saved = (run: RunFolder, model: string) =>
      Object.fromEntries(
        [...readModelFolderWeights(join(run.path, model))].map(([name, { values }]) => [name, [...values]]),
      );
    expect(saved(base, 'model')).toEqual(averaged);
    expect(saved(base, 'model-raw')).toEqual(raw);
    // Two verifications and the model.
    expect(baseLent).toBe(3);
    const { run, lent } = await trainCounting(configure({ evaluate: { ...verifying, weights: 'raw' } }));
    expect(saved(run, 'model')).toEqual(raw);
    expect(saved(run, 'model-ema')).toEqual(averaged);
    expect(lent).toBe(1);
    // Gone on with, though at its end, it has the other way round again.
    await trainFor(configure(), { run, resume: { fallBack: false } });
    expect(saved(run, 'model')).toEqual(averaged);
    expect(readdirSync(run.path).filter((name) => name.startsWith('model'))).toEqual(['model', 'model-raw']);
    expect(readMetrics(run.metricsPath).filter(({ kind }) => kind === 'evaluate')).toHaveLength(2);
  });

  it('lends the averages to what verifies', async () => {
    for (const weights of ['ema', 'raw'] as const) {
      await withSession(configure({ evaluate: { weights } }), async (session) => {
        const averages = readSafetensors(join(checkpoint(base), 'ema.safetensors'));
        session.average!.loadState(averages, 1);
        const kernel = () => readModelWeights(session.backbone).get('head/fc/kernel')!.values;
        const seen = await session.verified(() => Promise.resolve(kernel()));
        expect([...seen]).toEqual([...(weights === 'ema' ? averages.get('head/fc/kernel')!.values : kernel())]);
        expect([...kernel()]).not.toEqual([...averages.get('head/fc/kernel')!.values]);
      });
    }
  });

  it('is not gone on with by another optimizer, or without the average', async () => {
    const sgd = configure({ optimizer: { kind: 'sgd' } });
    await expect(trainFor(sgd, { run: base, resume: { fallBack: false } })).rejects.toThrow(
      'E_RANGE: optimizer.kind: expected adamw of the checkpoint, received sgd; go on with the same, or start a new run',
    );
    const without = configure({ training: { ema: undefined } });
    await expect(trainFor(without, { run: base, resume: { fallBack: false } })).rejects.toThrow(
      'E_RANGE: training.ema: expected the moving average of the checkpoint, received none;',
    );
  });
});

describe('frozen layers', () => {
  let source: string;
  beforeAll(() => {
    source = join(folder, 'copy');
    cpSync(base.path, source, { recursive: true });
  });

  function frozenConfig(): Config {
    const frozen = ['stem', 'stage*/block1/bn1', 'stage4'];
    const backbone = { frozen, weights: source };
    return configure({ backbone, head: { weights: source }, optimizer: { weightDecay: 0.5 } });
  }

  it('keep weights and running statistics while the others learn', async () => {
    const { run } = await trainFor(frozenConfig());
    const before = weightsIn(join(checkpoint(base), 'ema.safetensors'));
    const after = weightsIn(join(checkpoint(run), 'backbone.safetensors'));
    const isFrozen = (name: string) => /^stem|^stage\d\/block1\/bn1|^stage4/.test(name);
    // The output norm's γ never learns, and the counter is the run's.
    const names = Object.keys(after).filter((name) => !/dropout\/step|head\/features\/gamma/.test(name));
    expect(names.filter(isFrozen)).toContain('stem/bn/running_variance');
    const same = names.filter((name) => after[name]!.every((value, i) => value === before[name]![i]));
    expect(same.sort()).toEqual(names.filter(isFrozen).sort());
    // Freezing changes the order of a model's weights: they are saved and found by name.
    const model = await loadModelFolder(run.modelPath);
    const saved = weightsIn(join(checkpoint(run), 'ema.safetensors'));
    for (const [name, { values }] of readModelWeights(model)) expect([...values], name).toEqual(saved[name]);
    model.dispose();
    const moments = Object.keys(weightsIn(join(checkpoint(run), 'optimizer.safetensors')));
    expect(moments.filter(isFrozen)).toEqual([]);
    expect(moments).toContain('stage1/block1/conv1/kernel.exp_avg');

    // A run that goes on does not look at the other again.
    const { run: stopped } = await trainFor(frozenConfig(), {}, 3);
    rmSync(source, { recursive: true });
    await trainFor(frozenConfig(), { run: stopped, resume: { fallBack: false } });
    for (const name of ['backbone', 'head', 'ema', 'optimizer']) {
      const file = `${name}.safetensors`;
      expect(digest(join(checkpoint(stopped), file)), name).toBe(digest(join(checkpoint(run), file)));
    }
  });

  it('may be all of them: then the class centres learn alone', async () => {
    const { run } = await trainFor(configure({ backbone: { frozen: ['*'], weights: base.path } }));
    const [before, after] = [
      weightsIn(join(checkpoint(base), 'ema.safetensors')),
      weightsIn(join(checkpoint(run), 'backbone.safetensors')),
    ];
    expect(floats(after)).toEqual(floats(before));
    expect(digest(join(checkpoint(run), 'head.safetensors'))).not.toBe(
      digest(join(checkpoint(run, 2), 'head.safetensors')),
    );
  });

  it.each([
    ['stage5', 'did you mean stage'],
    ['stage1/blok1', 'did you mean stage1/block1?'],
    ['nothing-like-it', 'hyperarc summary NAME --layers lists them'],
  ])('are refused by an unknown name: %s', (pattern, fix) => {
    expect(() => configure({ backbone: { frozen: ['stem', pattern] } })).toThrow(
      `backbone.frozen: expected names of layers (stem, stage1, stage2, stage3, stage4, head, and what is in them), received ${pattern}; ${fix}`,
    );
  });
});

describe('a run that starts from another', () => {
  const start = (changes: Record<string, object> = {}) =>
    configure({ data: { root: join(folder, 'more'), heldOut: 0 }, ...changes });

  it('has the averaged backbone of its newest checkpoint, and centres by the names of the identities', async () => {
    const known = await withSession(configure(), ({ datasets }) => datasets.train.identities);
    const config = start({ backbone: { weights: base.path }, head: { weights: checkpoint(base) } });
    const fresh = await withSession(start(), centersOf);
    await withSession(config, (session, log) => {
      const own = Object.fromEntries(
        [...readModelWeights(session.backbone)].map(([name, { values }]) => [name, [...values]]),
      );
      expect(floats(own)).toEqual(floats(weightsIn(join(checkpoint(base), 'ema.safetensors'))));
      expect(own['head/dropout/step']).toEqual([0]);
      expect(session.average!.updates).toBe(0);
      const { weights } = weightsIn(join(checkpoint(base), 'head.safetensors'));
      const centers = centersOf(session);
      expect(Object.keys(centers)).toHaveLength(9);
      for (const [name, values] of Object.entries(centers)) {
        const index = known.indexOf(name);
        expect(values, name).toEqual(index < 0 ? fresh[name] : weights!.slice(index * 16, (index + 1) * 16));
      }
      expect([...session.head.centers.readRows(0, 18, 'momentum')].every((value) => value === 0)).toBe(true);
      expect(log).toContain(`backbone starts from ${checkpoint(base)}, the moving average`);
      expect(log).toContain(`class centres of 4 of 9 identities from ${checkpoint(base)}; 5 are new`);
    });
  });

  it('warns of held-out people that the other run was trained on', async () => {
    const warnings = (changes: Record<string, object>) =>
      withSession(configure({ backbone: { weights: base.path }, ...changes }), ({ datasets }, log) => ({
        heldOut: datasets.heldOut!.identities,
        lines: log.filter((line) => line.startsWith('warning: ')),
      }));
    const said = (seen: number, of: number) => [
      `warning: ${base.path} was trained on ${seen} of the ${of} held-out identities: their accuracy is not that of people never seen; ` +
        'hold out others (another folder, or the seed and data of that run)',
    ];
    const known = new Set(await withSession(configure(), ({ datasets }) => datasets.train.identities));

    expect((await warnings({})).lines).toEqual([]);
    // The first four are those of the other run.
    expect((await warnings({ data: { heldOut: 6 } })).lines).toEqual(said(2, 6));
    // Of another folder the same names are the same people where they share class centres.
    const data = { root: join(folder, 'more'), heldOut: 5 };
    expect((await warnings({ data })).lines).toEqual([]);
    const { heldOut, lines } = await warnings({ data, head: { weights: base.path } });
    expect(lines).toEqual(said(heldOut.filter((name) => known.has(name)).length, 5));
  });

  it('has the weights of a model folder', async () => {
    const model = join(base.path, 'model-raw');
    await withSession(start({ backbone: { weights: model, dropout: 0 } }), ({ backbone }) => {
      const own = Object.fromEntries([...readModelWeights(backbone)].map(([name, { values }]) => [name, [...values]]));
      expect(own).toEqual(floats(weightsIn(join(checkpoint(base), 'backbone.safetensors'))));
    });
  });

  it('says what does not fit', async () => {
    const fails = (changes: Record<string, object>) => expect(createSession(start(changes), () => undefined)).rejects;
    const weights = base.path;
    await fails({ backbone: { weights: join(folder, 'faces') } }).toThrow(
      /E_RANGE: backbone\.weights: expected a model folder, a run or a checkpoint, received .*faces, which is none of them/,
    );
    await fails({ backbone: { weights: join(folder, 'none') } }).toThrow(/received .*none, which is not there/);
    await fails({ backbone: { weights, embeddingSize: 12 } }).toThrow(
      /E_RANGE: backbone\.weights: expected weights of backbone\.name iresnet10-w16, embeddingSize 12, .*received others in .*\(backbone\.name iresnet10-w16, embeddingSize 8, data\.imageSize 16, fused true\): expected head\/fc\/kernel of 128×12, received 128×8/,
    );
    await fails({ backbone: { weights: join(base.path, 'model'), name: 'iresnet10-w24' } }).toThrow(
      /E_RANGE: backbone\.weights: .*iresnet10-w24.*received others in .*model:/,
    );
    await fails({ backbone: { weights }, head: { weights, subCenters: 1 } }).toThrow(
      /E_RANGE: head\.weights: expected centres of backbone\.embeddingSize 8 and head\.subCenters 1, received 8 and 2/,
    );
    await fails({ backbone: { weights }, head: { weights: join(base.path, 'model') } }).toThrow(
      /E_RANGE: head\.weights: expected a run or a checkpoint, received/,
    );
    expect(() => start({ head: { weights } })).toThrow(
      'head.weights: expected only with backbone.weights, the backbone that the centres go with',
    );
  });

  it('refuses identities of which none is known, names that are not there, and names that are no names', async () => {
    const path = join(folder, 'checkpoint');
    cpSync(checkpoint(base), path, { recursive: true });
    const names = join(path, 'identities.json');
    const fails = () =>
      expect(createSession(start({ backbone: { weights: path }, head: { weights: path } }), () => undefined)).rejects;
    const rewrite = async (content: string | undefined) => {
      if (content === undefined) rmSync(names);
      else writeFileSync(names, content);
      rmSync(join(path, 'manifest.json'));
      writeFileSync(join(path, 'manifest.json'), JSON.stringify(await describeFolder(path, STEPS, null)));
    };
    await rewrite('["a", "b", "c", "d"]');
    await fails().toThrow(/E_RANGE: head\.weights: expected some of the 9 identities among the 4 of .*received none/);
    await rewrite('["a", "b", "c"]');
    await fails().toThrow(/E_FORMAT: .*expected a name for each of 4 class centres, received 3/);
    for (const content of ['[1, 2, 3, 4]', '{}', '["a",']) {
      await rewrite(content);
      await fails().toThrow(/E_FORMAT: .*identities\.json: expected a list of names/);
    }
    await rewrite(undefined);
    await fails().toThrow(/E_RANGE: head\.weights: expected a checkpoint with the names of its identities/);
  });
});
