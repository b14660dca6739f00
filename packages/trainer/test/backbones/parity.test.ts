import { join } from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { buildBackbone } from '../../dist/backbones/create.js';
import { planIResNet } from '../../dist/backbones/iresnet.js';
import { planIRSE } from '../../dist/backbones/irse.js';
import type { BackbonePlan } from '../../dist/backbones/plan.js';
import { planResNet } from '../../dist/backbones/resnet.js';
import { fromTorch, torchWeights } from '../../dist/backbones/torchNames.js';
import { planViT } from '../../dist/backbones/vit.js';
import { writeModelWeights } from '../../dist/checkpoint/modelWeights.js';
import { readSafetensors, type TensorData } from '../../dist/checkpoint/safetensors.js';
import { backends, relativeError, useBackend } from '../layers/backends.js';

const read = (name: string) => readSafetensors(join(import.meta.dirname, 'parity', `${name}.safetensors`));
const NOTHING_DROPPED = { patchDropout: 0, dropPath: 0 };
const OPTIONS = { inputSize: 32, embeddingSize: 6, dropout: 0, seed: 1 };

/** The networks of parity/make_parity.py. */
const networks: Record<string, () => BackbonePlan> = {
  iresnet: () => planIResNet('iresnet', { blocks: [1, 2, 1, 1], widths: [4, 4, 8, 8] }, OPTIONS),
  irse: () => planIRSE('irse', { blocks: [1, 2, 1, 1], widths: [4, 4, 8, 8], reduction: 2 }, OPTIONS),
  resnet: () => planResNet('resnet', { blocks: [2, 1, 1, 1], widths: [4, 2, 2, 2] }, OPTIONS),
  vit: () => planViT('vit', { dim: 8, depth: 2, heads: 2, patchSize: 9 }, { ...OPTIONS, ...NOTHING_DROPPED }),
  'vit-gelu': () => {
    const options = { ...OPTIONS, ...NOTHING_DROPPED, activation: 'gelu' } as const;
    return planViT('vit-gelu', { dim: 8, depth: 1, heads: 2, patchSize: 9 }, options);
  },
};

/** Our network with the weights of the file, which must be those of the plan and no others. */
function load(plan: BackbonePlan, tensors: ReadonlyMap<string, TensorData>): tfl.LayersModel {
  const weights = torchWeights(plan);
  const inFile = [...tensors.keys()].filter((key) => !/^(result|gradient)\//.test(key));
  expect(new Set(weights.map(({ torchName }) => torchName))).toEqual(new Set(inFile));
  const model = buildBackbone(plan);
  writeModelWeights(
    model,
    new Map(
      weights.map((weight) => {
        const tensor = tensors.get(weight.torchName)!;
        expect(tensor.shape, weight.torchName).toEqual(weight.torchShape);
        return [weight.name, { shape: weight.shape, values: fromTorch(weight, tensor.values as Float32Array) }];
      }),
    ),
  );
  return model;
}

describe('parity with the published networks in PyTorch', () => {
  beforeAll(async () => {
    await useBackend(backends[backends.length - 1]!);
  });
  const images = () => tf.transpose(tf.tensor4d(read('images').get('images')!.values, [3, 3, 32, 32]), [0, 2, 3, 1]);

  it.each(Object.keys(networks))('%s: embeddings and gradients', (name) => {
    const plan = networks[name]!();
    const tensors = read(name);
    const model = load(plan, tensors);
    const expected = (key: string) => tensors.get(key)!.values;
    const running = (model.predict(images()) as tf.Tensor).dataSync();
    expect([...running]).toEqual([...expected('result/running')].map((v) => expect.closeTo(v, 4)));

    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    let batch!: tf.Tensor;
    const { grads } = tf.variableGrads(() => {
      batch = tf.keep(model.apply(images(), { training: true }) as tf.Tensor);
      return tf.sum(tf.mul(batch, tf.tensor(expected('result/direction'), batch.shape))) as tf.Scalar;
    }, variables);
    expect([...batch.dataSync()]).toEqual([...expected('result/batch')].map((v) => expect.closeTo(v, 4)));
    const keys = [...tensors.keys()].filter((key) => key.startsWith('gradient/'));
    expect(keys.length).toBeGreaterThan(5);
    const byName = new Map(model.trainableWeights.map((weight) => [weight.originalName, weight.name]));
    for (const key of keys) {
      const weight = torchWeights(plan).find(({ torchName }) => `gradient/${torchName}` === key)!;
      const gradient = grads[byName.get(weight.name)!]!.dataSync();
      expect(relativeError(gradient, fromTorch(weight, expected(key) as Float32Array)), key).toBeLessThan(1e-3);
    }
    model.dispose();
  });
});
