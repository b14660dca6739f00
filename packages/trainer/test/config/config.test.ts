import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parse } from 'yaml';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { checkConfig, formatConfig, loadConfig, parseOverride, resumeDifferences } from '../../dist/config/index.js';
import { marginOf } from '../../dist/config/margin.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-config-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const BASE = 'name: base\ndata: { root: faces, heldOut: 7 }\ntraining: { epochs: 4 }\noptimizer: { momentum: 0.8 }\n';

describe('loadConfig', () => {
  it('fills defaults in and lets overrides win over the file, and the file over what it extends', () => {
    write('base.yaml', BASE);
    const path = write(
      'own.yaml',
      'extends: base.yaml\nname: own\ndata: { heldOut: 9 }\noptimizer: { learningRate: 0.2 }\n',
    );
    const config = loadConfig(path, ['optimizer.learningRate=3e-2', 'data.flip=false']);
    expect(config.name).toBe('own');
    expect(config.data).toMatchObject({ root: 'faces', heldOut: 9, flip: false, imageSize: 112 });
    expect(config.optimizer).toMatchObject({ learningRate: 0.03, momentum: 0.8, clipNorm: 5 });
    expect(config.training).toMatchObject({ epochs: 4, batchSize: 128, accumulate: 1 });
  });

  it('takes what only vision transformers have', () => {
    const backbone = { name: 'vit-t', patchDropout: 0.25, dropPath: 0, activation: 'gelu' };
    expect(checkConfig({ name: 'a', data: { root: 'faces' }, backbone }, 'x').backbone).toMatchObject(backbone);
  });

  it('reads back what it wrote', () => {
    const config = loadConfig(write('base.yaml', BASE), ['optimizer.clipNorm=null']);
    expect(config.optimizer.clipNorm).toBeNull();
    expect(loadConfig(write('again.yaml', formatConfig(config)))).toEqual(config);
  });

  it('unsets a key with null, so that another one of an exclusive pair can be given', () => {
    const path = write('base.yaml', BASE);
    expect(() => loadConfig(path, ['training.steps=5'])).toThrow(/training\.epochs, training\.steps.*set one to null/);
    expect(loadConfig(path, ['training.steps=5', 'training.epochs=null']).training.steps).toBe(5);
  });

  it('names a cycle, a missing file, text that is not YAML, and a file that is no mapping', () => {
    write('a.yaml', 'extends: b.yaml\n');
    write('b.yaml', 'extends: a.yaml\n');
    expect(() => loadConfig(join(folder, 'a.yaml'))).toThrow(
      /E_RANGE: extends: expected no cycle.*a\.yaml.*b\.yaml.*a\.yaml/,
    );
    expect(() => loadConfig(join(folder, 'none.yaml'))).toThrow(/expected a file or a recipe.*none\.yaml.*ENOENT/);
    expect(() => loadConfig(write('bad.yaml', 'a: [1\n'))).toThrow(/E_FORMAT: .*bad\.yaml/);
    expect(() => loadConfig(write('list.yaml', '- 1\n'))).toThrow(/E_FORMAT: .*keys and values/);
  });
});

describe('parseOverride', () => {
  it('reads values as YAML', () => {
    expect(parseOverride('schedule.milestoneEpochs=[3, 5]')).toEqual({ schedule: { milestoneEpochs: [3, 5] } });
    expect(parseOverride('data.root=a=b')).toEqual({ data: { root: 'a=b' } });
  });

  it.each(['training.epochs', '=3', '.a=3', 'a..b=3', '__proto__.x=1'])('refuses %s', (argument) => {
    expect(() => parseOverride(argument)).toThrow(/E_RANGE: override: expected key=value/);
  });
});

describe('checkConfig', () => {
  const check = (yaml: string): unknown => checkConfig(parse(yaml), 'test.yaml');
  const data = 'name: x\ndata: { root: r }\n';

  it.each([
    ['optimizer: { learningrate: 1 }', 'optimizer.learningrate: no such key; did you mean optimizer.learningRate?'],
    ['optimiser: { momentum: 1 }', 'optimiser: no such key; did you mean optimizer?'],
    ['training: { learning_rate: 1 }', 'training.learning_rate: no such key; did you mean optimizer.learningRate?'],
    ['training: { bathcSize: 1 }', 'training.bathcSize: no such key; did you mean training.batchSize?'],
    ['head: { loss: arcfase }', 'class-variant, group-margin, received "arcfase"; did you mean arcface?'],
  ])('suggests what %s meant', (yaml, message) => {
    expect(() => check(data + yaml)).toThrow(message);
  });

  it('suggests nothing where nothing is near', () => {
    expect(() => check(data + 'head: { zebra: 1 }')).toThrow(/head\.zebra: no such key$/);
  });

  it.each([
    ['head: { rate: 0 }', 'head.rate: expected a number in (0, 1], received 0'],
    ['head: { rate: 1.5 }', 'head.rate: expected a number in (0, 1], received 1.5'],
    ['training: { batchSize: 2.5 }', 'training.batchSize: expected an integer in [1, 65536], or auto, received 2.5'],
    [
      'training: { batchSize: many }',
      'training.batchSize: expected an integer in [1, 65536], or auto, received "many"',
    ],
    [
      'training: { batchSize: auto }',
      'training.batchSize: expected a number, received auto; auto is for hyperarc train',
    ],
    ['training: { maxMemory: 2GiB }', 'training.maxMemory: expected only with training.batchSize auto'],
    ['training: { batchSize: auto, maxMemory: 2 }', 'training.maxMemory: expected an amount of memory such as 6GiB'],
    ['training: { maxHours: 1, maxMinutes: 9 }', 'training.maxMinutes, training.maxHours: expected one of the two'],
    ['training: { maxSkips: 3 }', 'training.maxSkips: expected only with training.onNonFinite skip'],
    ['training: { onNonFinite: ignore }', 'training.onNonFinite: expected one of stop, skip, received "ignore"'],
    ['training: { earlyStop: { patience: 3 } }', 'evaluate.every: expected steps between verifications with'],
    ['training: { earlyStop: { on: loss } }', 'training.earlyStop.patience: expected an integer of at least 1'],
    ['training: { earlyStop: { patiense: 3 } }', 'patiense: no such key; did you mean training.earlyStop.patience?'],
    ['head: { device: cpu, precision: bf16 }', 'head.precision: expected fp32 with head.device cpu, received bf16'],
    ['head: { device: cpu, kernels: mma }', 'head.kernels: expected auto with head.device cpu, received mma'],
    ['backbone: { embeddingSize: 5000 }', "backbone.embeddingSize: expected at most 4096, the head's largest"],
    ['optimizer: 3', 'optimizer: expected a section of keys, received 3'],
    ['head: { device: gpu }', 'head.device: expected auto, cpu or cuda:N, received "gpu"'],
    [
      'schedule: { kind: step, milestoneEpochs: [5, 3] }',
      'expected a list of increasing numbers above 0, received [5,3]',
    ],
    ['schedule: { kind: step }', 'schedule.milestoneEpochs: expected with schedule.kind step'],
    ['schedule: { kind: cosine, power: 2 }', 'schedule.power: expected only with schedule.kind polynomial'],
    [
      'schedule: { warmupEpochs: 1, warmupSteps: 3 }',
      'schedule.warmupEpochs, schedule.warmupSteps: expected one of the two',
    ],
    [
      'backbone: { dropPath: 0.1 }',
      'backbone.dropPath: expected only with backbone.name vit-t, vit-s, vit-b, vit-l, received',
    ],
    [
      'backbone: { name: irse50, patchDropout: 0.1, activation: gelu }',
      'backbone.patchDropout: expected only with backbone.name vit-t',
    ],
    [
      'backbone: { name: vit-s, dropout: 0.1 }',
      'backbone.dropout: expected 0 with backbone.name vit-s, received 0.1; use backbone.patchDropout or dropPath',
    ],
    ['backbone: { name: vit-s, activation: tanh }', 'backbone.activation: expected one of relu6, gelu'],
    ['head: { m2: 0.3 }', 'head.m2: expected only with head.loss combined, received head.loss arcface'],
    [
      'head: { loss: normface, margin: 0.3 }',
      'head.margin: expected only with head.loss sphereface, cosface, arcface, adaface',
    ],
    ['head: { loss: cosface, margin: 1.2 }', 'head.margin: expected a cosine in [0, 1]'],
    ['head: { margin: 2 }', 'head.loss arcface: arcFace.margin: expected a number in'],
    ['head: { loss: adaface, margin: 0.7 }', 'head.loss adaface: adaFace.margin: expected a number in [0, 0.5]'],
    ['head: { loss: magface, parameters: { t: 2 } }', 'head.parameters.t: expected only with head.loss mv-softmax'],
    ['head: { loss: magface, parameters: { lowerNrom: 2 } }', 'did you mean head.parameters.lowerNorm?'],
    ['head: { loss: magface, parameters: { upperNorm: 5 } }', 'upperNorm: expected a number above lowerNorm, 10'],
    ['head: { loss: mv-softmax, parameters: { t: 0.5 } }', 'mvSoftmax.t: expected a number in [1, 4], received 0.5'],
    ['head: { loss: mv-softmax, parameters: { base: cos } }', 'mvSoftmax.base: expected one of am, arc'],
    ['head: { loss: sphereface, fallback: hard }', 'head.fallback: expected only with head.loss normface, cosface'],
    ['head: { loss: arcface, scale: norm }', 'head.loss arcface: margin.scale: expected a number in (0, 1024]'],
    ['head: { loss: sphereface, scale: long }', 'head.scale: expected a number in (0, 1024], received "long"'],
    ['head: { loss: adacos, scale: 64 }', 'head.scale: expected only with head.loss normface'],
    ['head: { loss: curricularface, interClassFilter: 0.4 }', 'one rule for negatives at a time'],
    ['head: { loss: group-margin }', 'head.parameters.groups: expected with head.loss group-margin, received nothing'],
    ['head: { loss: sphereface, parameters: { annealing: 3 } }', 'head.parameters.annealing: expected false, or'],
  ])('refuses %s', (yaml, message) => {
    expect(() => check(data + yaml)).toThrow(message);
  });

  it.each<[string, object]>([
    ['{}', { name: 'arcface', m2: 0.5, scale: 64, fallback: 'hard', gradient: 'exact' }],
    ['{ loss: normface, scale: 30 }', { name: 'normface', scale: 30 }],
    ['{ loss: combined, m3: 0.1 }', { name: 'combined', m2: 0.3, m3: 0.1 }],
    ['{ loss: sphereface }', { name: 'sphereface', m1: 4 }],
    ['{ loss: sphereface, scale: 30, margin: 1.5, parameters: { annealing: false } }', { m1: 1.5, scale: 30 }],
    ['{ loss: magface, parameters: { regularizer: 40 } }', { fallback: 'easy', adaptive: [{ regularizer: 40 }] }],
    ['{ loss: adaface, margin: 0.3 }', { fallback: 'clip', clipRadians: 1e-3, adaptive: [{ margin: 0.3 }] }],
    ['{ loss: curricularface, parameters: { momentum: 0.1 } }', { adaptive: [{ kind: 'curriculum', momentum: 0.1 }] }],
    ['{ loss: mv-softmax, parameters: { base: arc } }', { scale: 32, m2: 0.5, fallback: 'easy' }],
    ['{ loss: elasticface, parameters: { plus: true } }', { adaptive: [{ sorted: true, stddev: 0.0175, seed: 9 }] }],
    ['{ loss: adacos, parameters: { dynamic: false } }', { name: 'adacos-fixed', scale: Math.SQRT2 * Math.log(2) }],
    ['{ loss: x2-softmax, gradient: straight-through }', { m1: 0.9, m3: -0.65, gradient: 'straight-through' }],
    ['{ loss: circle-softmax }', { scale: 256, m2: 0.25, gradient: 'straight-through' }],
    ['{ loss: class-variant, margin: 0.4 }', { adaptive: [{ margins: [0.4, 0.2, 0.4] }] }],
    [
      '{ loss: group-margin, parameters: { groups: g.yaml, margins: { young: 0.3, old: 0.6 } } }',
      { adaptive: [{ margins: [0.6, 0.3, 0.6] }] },
    ],
    ['{ interClassFilter: 0.3 }', { name: 'arcface+filter', negatives: { threshold: 0.3 } }],
  ])('head: %s is its margin', (yaml, expected) => {
    const config = checkConfig(parse(`${data}head: ${yaml}`), 't');
    const facts = { seed: 9, classes: 3, counts: [2, 32, 2], groupNames: () => ['old', 'young', 'old'] };
    expect(marginOf(config.head, facts)).toMatchObject(expected);
    // What is written into a run's folder reads back to the same.
    expect(checkConfig(parse(formatConfig(config)), 't')).toEqual(config);
  });

  it.each([
    [
      '{ root: r, maxBadImages: 0.1 }',
      'data.maxBadImages: expected only with data.onBadImage skip, received data.onBadImage stop',
    ],
    ['{ root: r, onBadImage: skip, maxBadImages: 2 }', 'data.maxBadImages: expected a number in [0, 1], received 2'],
    ['{ root: r, onBadImage: ignore }', 'data.onBadImage: expected one of stop, skip, received "ignore"'],
  ])('refuses data: %s', (section, message) => {
    expect(() => check(`name: x\ndata: ${section}`)).toThrow(message);
  });

  it('lists every problem at once', () => {
    expect(() => check('name: x\nhead: { rate: 2 }\nseed: -1')).toThrow(
      /seed: expected .*\n.*data: expected a section of keys, received nothing\n.*head\.rate/,
    );
  });
});

describe('resumeDifferences', () => {
  it('ignores what does not change the result and names the rest', () => {
    const raw = { name: 'x', data: { root: 'r' } };
    const was = checkConfig(raw, 't');
    const now = checkConfig({ ...raw, data: { root: 'elsewhere', workers: 3 }, head: { margin: 0.3 }, seed: 2 }, 't');
    expect(resumeDifferences(was, was)).toEqual([]);
    // When a run ends, what is kept of it, and what it does with steps that cannot be made and images that cannot be decoded.
    const training = { earlyStop: { patience: 2, on: 'loss' }, maxMinutes: 5, onNonFinite: 'skip', maxSkips: 4 };
    const data = { root: 'r', onBadImage: 'skip', maxBadImages: 0.01 };
    expect(resumeDifferences(was, checkConfig({ ...raw, data, training, checkpoint: { keepBest: 3 } }, 't'))).toEqual(
      [],
    );
    expect(resumeDifferences(was, now)).toEqual(['seed: was 1, now 2', 'head.margin: was unset, now 0.3']);
  });
});
