import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { buildBackbone } from '../../dist/backbones/create.js';
import { planIRSE } from '../../dist/backbones/irse.js';
import { planResNet } from '../../dist/backbones/resnet.js';
import { planViT } from '../../dist/backbones/vit.js';
import { backends, relativeError, useBackend, values } from '../layers/backends.js';

const OPTIONS = { inputSize: 32, embeddingSize: 4, dropout: 0, seed: 1 };
const plans = {
  vit: () =>
    planViT('vit', { dim: 8, depth: 3, heads: 2, patchSize: 9 }, { ...OPTIONS, patchDropout: 0.3, dropPath: 0.4 }),
  irse: () => planIRSE('irse', { blocks: [1, 1, 1, 1], widths: [4, 4, 8, 8], reduction: 2 }, OPTIONS),
  resnet: () => planResNet('resnet', { blocks: [1, 1, 1, 1], widths: [4, 2, 2, 2] }, OPTIONS),
};
const names = Object.keys(plans) as (keyof typeof plans)[];
const images = () => tf.tensor4d(values(4 * 32 * 32 * 3, 1), [4, 32, 32, 3]);

/** One training step on Σ r·y by plain descent; the embeddings it saw. */
function step(model: tfl.LayersModel): number[] {
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  return tf.tidy(() => {
    let embeddings!: number[];
    const { grads } = tf.variableGrads(() => {
      const y = model.apply(images(), { training: true }) as tf.Tensor;
      embeddings = [...y.dataSync()];
      return tf.sum(tf.mul(y, tf.tensor2d(values(16, 3), [4, 4]))) as tf.Scalar;
    }, variables);
    for (const variable of variables) variable.assign(tf.sub(variable, tf.mul(grads[variable.name]!, 0.1)));
    return embeddings;
  });
}

async function saveAndLoad(model: tfl.LayersModel): Promise<tfl.LayersModel> {
  let saved!: tf.io.ModelArtifacts;
  await model.save(
    tf.io.withSaveHandler((artifacts) => {
      saved = artifacts;
      return Promise.resolve({ modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) });
    }),
  );
  // As from model.json: what JSON drops must not be needed.
  const modelTopology = JSON.parse(JSON.stringify(saved.modelTopology)) as object;
  return tfl.loadLayersModel(tf.io.fromMemory({ ...saved, modelTopology }));
}

const fastest = backends[backends.length - 1]!;

describe.each(backends)('on %s', (backend) => {
  // Convolutions are tested on every backend with their layer; cpu takes seconds for them.
  const built = backend === fastest ? names : (['vit'] as const);
  let trains = false;
  beforeAll(async () => {
    trains = await useBackend(backend);
  });

  it.each(built)('trains %s as the cpu backend does, and leaves nothing behind', async (name) => {
    if (!trains || backend === 'cpu') return;
    const model = buildBackbone(plans[name](), { seed: 3 });
    step(model);
    const before = tf.memory().numTensors;
    const embeddings = step(model);
    expect(tf.memory().numTensors).toBe(before);
    expect(embeddings.every(Number.isFinite)).toBe(true);
    await useBackend('cpu');
    const reference = buildBackbone(plans[name](), { seed: 3 });
    step(reference);
    const expected = step(reference);
    await useBackend(backend);
    expect(relativeError(embeddings, expected)).toBeLessThan(1e-3);
  });

  it.each(built)('%s survives save and load: the same embeddings, and the same next step', async (name) => {
    if (!trains) return;
    const model = buildBackbone(plans[name](), { seed: 3 });
    step(model);
    const loaded = await saveAndLoad(model);
    const predict = (m: tfl.LayersModel) => [...(m.predict(images()) as tf.Tensor).dataSync()];
    expect(predict(loaded)).toEqual(predict(model));
    expect(step(loaded)).toEqual(step(model));
    // The drawn tokens and paths of this second step show in a third that follows from it.
    expect(predict(loaded)).toEqual(predict(model));
  });
});

describe('a vision transformer', () => {
  beforeAll(async () => {
    await useBackend(fastest);
  });

  it('moves every weight in training, that of the mask token among them', () => {
    const model = buildBackbone(plans.vit());
    // The last norm makes embeddings blind to what all samples share, so weights are compared over some steps.
    const before = model.trainableWeights.map((weight) => [...weight.read().dataSync()]);
    for (let i = 0; i < 3; i++) step(model);
    const still = model.trainableWeights.filter(
      (weight, i) => relativeError(weight.read().dataSync(), before[i]!) === 0,
    );
    expect(still.map((weight) => weight.originalName)).toEqual([]);
  });

  it('draws initial weights as arcface_torch does', () => {
    const plan = planViT('vit', { dim: 64, depth: 1, heads: 2, patchSize: 9 }, { ...OPTIONS, inputSize: 112 });
    const model = buildBackbone(plan, { seed: 2 });
    const spread = (layer: string, index: number) => {
      const data = model.getLayer(layer).trainableWeights[index]!.read().dataSync() as Float32Array;
      return Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length);
    };
    for (const [layer, index] of [
      ['stem/positions', 0],
      ['block1/attention', 0],
      ['block1/attention', 1],
      ['block1/fc1', 0],
      ['head/fc1', 0],
    ] as const) {
      expect(spread(layer, index), layer).toBeCloseTo(0.02, 3);
    }
    expect(spread('head/restore', 0)).toBeCloseTo(0.02, 2);
    expect(spread('stem/patches', 0)).toBeCloseTo(1 / Math.sqrt(3 * 243), 3);
    expect(spread('block1/fc1', 1)).toBe(0);
    expect(spread('block1/attention', 2)).toBe(0);
  });

  it('is another with stock layer norms only in its speed', () => {
    const options = { ...OPTIONS, patchDropout: 0, dropPath: 0 };
    const plan = planViT('vit', { dim: 8, depth: 1, heads: 2, patchSize: 9 }, options);
    const [fused, stock] = [true, false].map((isFused) => buildBackbone(plan, { seed: 3, fused: isFused }));
    expect(relativeError(step(fused!), step(stock!))).toBeLessThan(1e-4);
  });
});
