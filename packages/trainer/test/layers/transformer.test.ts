import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import {
  Activation,
  LayerNorm,
  MultiHeadAttention,
  PaddedMaxPool,
  PatchEmbedding,
  PositionEmbedding,
  SqueezeExcite,
  TokenDense,
} from '../../dist/layers/index.js';
import { backends, relativeError, useBackend, values } from './backends.js';
import { activations, attention, dense, differences, layerNorm, squeezeExcite } from './formulas.js';

interface Case {
  layer: () => tfl.layers.Layer;
  shape: number[];
  /** Of the input and the weights, in turn. */
  formula: (...values: Float64Array[]) => number[];
  /** Factor on the input's values of (−1, 1). */
  spread?: number;
}

/** Layer, input, and the formula of both. Sizes are such that a mix-up of axes shows. */
const cases: Record<string, Case> = {
  LayerNorm: {
    layer: () => new LayerNorm(),
    shape: [2, 3, 5],
    formula: (x, gamma, beta) => layerNorm(x, gamma!, beta!, 1e-5),
  },
  'LayerNorm of one large offset': {
    layer: () => new LayerNorm({ epsilon: 1e-3 }),
    shape: [4, 6],
    formula: (x, gamma, beta) => layerNorm(x, gamma!, beta!, 1e-3),
    spread: 20,
  },
  TokenDense: {
    layer: () => new TokenDense({ units: 3 }),
    shape: [2, 3, 4],
    formula: (x, kernel, bias) => dense(x, kernel!, 4, 3, bias),
  },
  'TokenDense without bias': {
    layer: () => new TokenDense({ units: 3, useBias: false }),
    shape: [2, 3, 4],
    formula: (x, kernel) => dense(x, kernel!, 4, 3),
  },
  MultiHeadAttention: {
    layer: () => new MultiHeadAttention({ heads: 2 }),
    shape: [2, 3, 6],
    formula: (x, qkv, projection, bias) =>
      attention(x, [qkv!, projection!, bias!], { batch: 2, tokens: 3, dim: 6, heads: 2 }),
    spread: 2,
  },
  PositionEmbedding: {
    layer: () => new PositionEmbedding(),
    shape: [2, 3, 4],
    formula: (x, positions) => Array.from(x, (v, i) => v + positions![i % 12]!),
  },
  SqueezeExcite: {
    layer: () => new SqueezeExcite({ reduction: 2 }),
    shape: [2, 2, 3, 4],
    formula: (x, reduce, expand) => squeezeExcite(x, [reduce!, expand!], { pixels: 6, channels: 4, reduction: 2 }),
    spread: 3,
  },
  PatchEmbedding: {
    layer: () => new PatchEmbedding({ filters: 4, patchSize: 2 }),
    // The last row and column belong to no whole patch.
    shape: [2, 5, 7, 3],
    formula: (x, kernel, bias) => {
      const patches: number[] = [];
      for (let b = 0; b < 2; b++)
        for (let row = 0; row < 2; row++)
          for (let column = 0; column < 3; column++)
            for (let y = 0; y < 2; y++)
              for (let c = 0; c < 6; c++) patches.push(x[((b * 5 + 2 * row + y) * 7 + 2 * column) * 3 + c]!);
      return dense(patches, kernel!, 12, 4, bias);
    },
  },
  'PaddedMaxPool 3×3 stride 2': {
    layer: () => new PaddedMaxPool({ poolSize: 3, stride: 2, padding: 1 }),
    shape: [2, 4, 6, 2],
    // Of values that are not negative, as after a ReLU.
    formula: (x) => {
      const result: number[] = [];
      for (let b = 0; b < 2; b++)
        for (let y = 0; y < 2; y++)
          for (let z = 0; z < 3; z++)
            for (let c = 0; c < 2; c++) {
              let best = 0;
              for (let i = Math.max(0, 2 * y - 1); i <= 2 * y + 1; i++)
                for (let j = Math.max(0, 2 * z - 1); j <= 2 * z + 1; j++)
                  best = Math.max(best, x[((b * 4 + i) * 6 + j) * 2 + c]!);
              result.push(best);
            }
      return result;
    },
  },
  'PaddedMaxPool 1×1 stride 2': {
    layer: () => new PaddedMaxPool({ poolSize: 1, stride: 2 }),
    shape: [2, 4, 5, 2],
    formula: (x) => {
      const result: number[] = [];
      for (let b = 0; b < 2; b++)
        for (const y of [0, 2])
          for (const z of [0, 2, 4]) for (let c = 0; c < 2; c++) result.push(x[((b * 4 + y) * 5 + z) * 2 + c]!);
      return result;
    },
  },
  ...Object.fromEntries(
    Object.entries(activations).map(([name, f]): [string, Case] => [
      name,
      {
        layer: () => new Activation({ function: name as 'relu' }),
        shape: [3, 4, 5],
        formula: (x) => Array.from(x, f),
        spread: name === 'relu6' ? 9 : 3,
      },
    ]),
  ),
};

describe.each(backends)('layers on %s', (backend) => {
  let trains = false;
  beforeAll(async () => {
    trains = await useBackend(backend);
  });

  it.each(Object.keys(cases))('%s equals the formula and its derivatives, and survives its configuration', (name) => {
    const { layer: make, shape, formula, spread = 1 } = cases[name]!;
    const made = make();
    const layer = new (made.constructor as new (config: unknown) => tfl.layers.Layer)(made.getConfig());
    layer.build([null, ...shape.slice(1)]);
    const size = shape.reduce((a, b) => a * b, 1);
    const isPool = name.startsWith('PaddedMaxPool 3');
    const x = tf.variable(
      tf.tensor(
        values(size, 1).map((v) => spread * (isPool ? Math.abs(v) : v)),
        shape,
      ),
    );
    const weights = layer.trainableWeights.map((weight) => weight.read() as tf.Variable);
    weights.forEach((weight, i) => weight.assign(tf.tensor(values(weight.size, 2 + i), weight.shape)));
    const points = [x, ...weights].map((variable) => variable.dataSync());
    const expected = formula(...points.map((point) => Float64Array.from(point)));
    const output = layer.apply(x) as tf.Tensor;
    expect(output.shape.slice(1)).toEqual((layer.computeOutputShape([null, ...shape.slice(1)]) as number[]).slice(1));
    expect(relativeError(output.dataSync(), expected)).toBeLessThan(2e-6);

    if (!trains) return;
    const dy = values(expected.length, 9);
    const before = tf.memory().numTensors;
    const { value, grads } = tf.variableGrads(
      () => tf.sum(tf.mul(layer.apply(x) as tf.Tensor, tf.tensor(dy, output.shape))) as tf.Scalar,
      [x, ...weights],
    );
    const slopes = differences(formula, points, dy);
    [x, ...weights].forEach((variable, i) => {
      expect(relativeError(grads[variable.name]!.dataSync(), slopes[i]!), `argument ${i}`).toBeLessThan(2e-5);
    });
    tf.dispose([value, grads]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('has no slope at the kinks of ReLU and ReLU6', () => {
    const x = tf.variable(tf.tensor1d([0, -0, 6, 3, 7, -1]));
    const slopes = (name: 'relu' | 'relu6') => {
      const layer = new Activation({ function: name });
      return [
        ...tf.variableGrads(() => tf.sum(layer.apply(x) as tf.Tensor) as tf.Scalar, [x]).grads[x.name]!.dataSync(),
      ];
    };
    expect(slopes('relu')).toEqual([0, 0, 1, 1, 1, 0]);
    expect(slopes('relu6')).toEqual([0, 0, 0, 1, 0, 0]);
  });
});
