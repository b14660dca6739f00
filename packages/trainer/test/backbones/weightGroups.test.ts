import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createBackbone, freezeLayers, frozenLayers, planBackbone } from '../../dist/backbones/index.js';
import { matchesName } from '../../dist/backbones/namePatterns.js';
import { plannedWeights, weightFactors, weightsOfGroups } from '../../dist/backbones/weightGroups.js';
import { checkConfig, formatConfig, resumeDifferences, type Config } from '../../dist/config/index.js';
import { createOptimizer, optimizerGroups } from '../../dist/train/optimizer.js';
import { parse } from 'yaml';
import { useBackend } from '../layers/backends.js';

describe('matchesName', () => {
  it.each([
    ['stem', 'stem/conv/kernel', true],
    ['stem/conv', 'stem/conv/kernel', true],
    ['stem/con', 'stem/conv/kernel', false],
    ['stage*', 'stage12/block1/bn1/gamma', true],
    ['*/*/bn1', 'stage1/block1/bn1/gamma', true],
    ['*/bn1', 'stage1/block1/bn1/gamma', false],
    ['**/bn1', 'stage1/block1/bn1/gamma', true],
    ['**/gamma', 'stage1/block1/bn1/gamma', true],
    ['**/gamma', 'stem/bn/gamma', true],
    ['**/gam', 'stem/bn/gamma', false],
    ['stage1/**/bias', 'stage1/bias', true],
    ['stage1/**/bias', 'stage1/a/b/bias', true],
    ['stage1/**/bias', 'stage2/a/bias', false],
    ['**', 'anything', true],
    ['a.c', 'abc', false],
    ['stem/conv/kernel/more', 'stem/conv/kernel', false],
  ])('%s, %s: %s', (pattern, name, expected) => {
    expect(matchesName(pattern, name)).toBe(expected);
  });
});

describe('weightFactors', () => {
  const weights = ['stem/conv/kernel', 'stem/bn/gamma', 'stem/bn/beta', 'head/fc/kernel', 'head/fc/bias'];

  it('multiplies what several groups say of a weight, and leaves out the others', () => {
    const factors = weightFactors(weights, [
      { names: ['stem'], learningRateFactor: 0.1 },
      { names: ['**/gamma', '**/beta', '**/bias'], weightDecayFactor: 0 },
      { names: ['stem/bn/gamma'], learningRateFactor: 0.5, weightDecayFactor: 3 },
    ]);
    expect(Object.fromEntries(factors)).toEqual({
      'stem/conv/kernel': { learningRate: 0.1, weightDecay: 1 },
      'stem/bn/gamma': { learningRate: 0.05, weightDecay: 0 },
      'stem/bn/beta': { learningRate: 0.1, weightDecay: 0 },
      'head/fc/bias': { learningRate: 1, weightDecay: 0 },
    });
  });

  it('names what there is', () => {
    const group = (...names: string[]) => [{ names: ['stem'] }, { names }];
    expect(() => weightsOfGroups(weights, group('head', 'stm'))).toThrow(
      'E_RANGE: optimizer.groups.1.names: expected names of layers or weights (stem, head, and what is in them, down to kernel, gamma, beta, bias), received stm; did you mean stem?',
    );
    expect(() => weightsOfGroups(weights, group('backbone.layer1'))).toThrow('hyperarc summary NAME --layers lists');
    const frozen = new Set(['stem/conv', 'stem/bn']);
    expect(() => weightsOfGroups(weights, [{ names: ['stem/bn'] }], frozen)).toThrow(
      'optimizer.groups.0.names: expected weights that learn, received stem/bn, which backbone.frozen holds; remove it from one of the two',
    );
    expect(weightsOfGroups(weights, [{ names: ['*/*/kernel'] }], frozen)).toEqual([['head/fc/kernel']]);
  });
});

const configure = (sections: { backbone?: object; optimizer?: object }): Config =>
  checkConfig(
    {
      name: 'test',
      data: { root: 'faces', imageSize: 16 },
      ...sections,
      backbone: { name: 'iresnet10-w16', embeddingSize: 8, ...sections.backbone },
    },
    'test.yaml',
  );

describe('optimizer.groups', () => {
  let model: LayersModel;
  beforeAll(async () => {
    await useBackend('cpu');
    model = createBackbone({ name: 'iresnet10-w16', inputSize: 16, embeddingSize: 8 });
  });
  afterAll(() => void model.dispose());

  const groups = [
    { names: ['stem', 'stage1'], learningRateFactor: 0.25 },
    { names: ['**/bias', '**/beta', '**/gamma', '**/alpha'], weightDecayFactor: 0 },
    { names: ['head/fc'], weightDecayFactor: 2 },
  ];
  type Values = Record<string, Float32Array>;
  const read = (of: LayersModel): Values =>
    Object.fromEntries(of.trainableWeights.map((w) => [w.originalName, w.read().dataSync() as Float32Array]));

  /** A step with all gradients 1. */
  function step(of: LayersModel, config: Config, optimizer = createOptimizer(config.optimizer, of.trainableWeights)) {
    const grads = Object.fromEntries(of.trainableWeights.map((w) => [w.name, tf.ones(w.shape as number[])]));
    optimizer.apply(grads, config.optimizer.learningRate);
    tf.dispose(grads);
    return optimizer;
  }

  it.each(['sgd', 'adamw'] as const)('give each weight its own rate and decay: %s', (kind) => {
    const [η, λ] = [0.125, 0.0625];
    const config = configure({ optimizer: { kind, learningRate: η, weightDecay: λ, groups } });
    const before = read(model);
    step(model, config).dispose();
    const after = read(model);
    const seen = new Set<string>();
    for (const [name, values] of Object.entries(after)) {
      const rate = /^(stem|stage1)\//.test(name) ? η / 4 : η;
      const decay = /\/(bias|beta|gamma|alpha)$/.test(name) ? 0 : name.startsWith('head/fc/') ? 2 * λ : λ;
      seen.add(`${rate} ${decay}`);
      const expected = Float64Array.from(before[name]!, (w) =>
        // The first step of AdamW by a gradient of 1 is η, whatever the betas.
        kind === 'sgd' ? w - rate * (1 + decay * w) : w * (1 - rate * decay) - rate,
      );
      const error = values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
      expect(error, name).toBeLessThan(5e-7);
    }
    expect(seen.size).toBe(5);
  });

  it('go on from a state to the same bits', () => {
    const config = configure({ optimizer: { kind: 'adamw', groups } });
    const start = read(model);
    const restore = (): void =>
      model.trainableWeights.forEach((w) => w.write(tf.tensor(start[w.originalName]!, w.shape as number[])));
    const optimizer = step(model, config);
    const state = optimizer.state();
    step(model, config, optimizer);
    const expected = read(model);
    restore();
    step(model, config).dispose();
    const resumed = createOptimizer(config.optimizer, model.trainableWeights);
    resumed.loadState(state);
    step(model, config, resumed);
    expect(read(model)).toEqual(expected);
    expect(Object.keys(state)).toContain('stem/bn/gamma.exp_avg');
    optimizer.dispose();
    resumed.dispose();
  });

  it('hold beside frozen layers, and are told in words', () => {
    const frozen = ['stem', 'stage2'];
    const config = configure({
      backbone: { frozen },
      optimizer: { groups: [{ names: ['**/gamma'], weightDecayFactor: 0 }] },
    });
    const part = createBackbone({ name: 'iresnet10-w16', inputSize: 16, embeddingSize: 8 });
    freezeLayers(part, frozenLayers(planBackbone('iresnet10-w16', { inputSize: 16 }).layers, frozen));
    const gammas = part.trainableWeights.filter(({ originalName }) => originalName.endsWith('/gamma')).length;
    expect(gammas).toBeGreaterThan(3);
    expect(optimizerGroups(config.optimizer, part.trainableWeights)).toEqual([
      `**/gamma: weight decay × 0 (${gammas} of ${part.trainableWeights.length} weights)`,
    ]);
    step(part, config).dispose();
    part.dispose();
  });

  it('name weights of other networks, and come back from a file', () => {
    for (const [name, names] of [
      ['mobilefacenet', ['**/kernel', '**/alpha']],
      ['irse50', ['**/reduce']],
      ['resnet50', ['stage*']],
      ['vit-t', ['**/qkv', '**/positions', '**/bias']],
    ] as const) {
      const config = configure({ backbone: { name }, optimizer: { groups: [{ names, learningRateFactor: 2 }] } });
      expect(checkConfig(parse(formatConfig(config)), 'again')).toEqual(config);
    }
    expect(resumeDifferences(configure({}), configure({ optimizer: { groups } }))[0]).toMatch(/^optimizer\.groups\.0/);
  });

  it.each([
    ['iresnet10-w16', true],
    ['iresnet10-w16', false],
    ['mobilefacenet', true],
    ['mobilefacenet', false],
  ])('know the weights of a plan as those of the model: %s, fused %s', (name, fused) => {
    const built = createBackbone({ name, inputSize: 16, embeddingSize: 8, fused });
    const names = built.trainableWeights.map(({ originalName }) => originalName);
    expect(plannedWeights({ name, inputSize: 16, embeddingSize: 8, fused }).sort()).toEqual(names.sort());
    built.dispose();
  });

  it.each<[object, RegExp]>([
    [{ names: ['stem'] }, /optimizer\.groups\.0: expected learningRateFactor or weightDecayFactor, received none/],
    [
      { names: [], learningRateFactor: 1 },
      /groups\.0\.names: expected a list of names of layers or weights, received \[\]/,
    ],
    [{ names: 'stem', learningRateFactor: 1 }, /groups\.0\.names: expected a list of names .*received "stem"/],
    [{ names: ['stem'], learningRateFactor: 0 }, /learningRateFactor: expected a number in \(0, 1000\], received 0/],
    [{ names: ['stem'], weightDecayFactor: -1 }, /weightDecayFactor: expected a number in \[0, 1000\], received -1/],
    [{ names: ['stem'], rate: 1 }, /optimizer\.groups\.0\.rate: no such key/],
    [{ names: ['stage1/blok1'], learningRateFactor: 1 }, /received stage1\/blok1; did you mean stage1\/block1\?/],
    [{ names: ['**/running_mean'], learningRateFactor: 1 }, /received \*\*\/running_mean/],
    [{ names: ['head/features/gamma'], weightDecayFactor: 0 }, /received head\/features\/gamma/],
  ])('are refused: %j', (group, message) => {
    expect(() => configure({ optimizer: { groups: [group] } })).toThrow(message);
  });

  it('are refused where all of it is frozen, and as no list', () => {
    const group = { names: ['stem'], learningRateFactor: 0.1 };
    expect(() => configure({ backbone: { frozen: ['stem'] }, optimizer: { groups: [group] } })).toThrow(
      /received stem, which backbone\.frozen holds/,
    );
    expect(() => configure({ optimizer: { groups: { stem: 0.1 } } })).toThrow(
      /optimizer\.groups: expected a list of groups/,
    );
  });
});
