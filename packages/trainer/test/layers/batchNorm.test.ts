import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { FusedBatchNorm } from '../../dist/layers/index.js';
import { backends, relativeError, useBackend, values } from './backends.js';
import { batchNormTraining } from './reference.js';

const MOMENTUM = 0.9;
const EPSILON = 1e-5;

function scaled(size: number, seed: number, gain: number, offset: number): Float32Array {
  return values(size, seed).map((v) => v * gain + offset);
}

/** One layer with given γ, β and running statistics, applied in training, and its gradients of Σ output·dy. */
function train(
  layer: tfl.layers.Layer,
  xData: Float32Array,
  dyData: Float32Array,
  shape: number[],
  weights: Float32Array[],
) {
  const x = tf.variable(tf.tensor(xData, shape));
  const dy = tf.tensor(dyData, shape);
  layer.build(x.shape);
  layer.setWeights(weights.map((w) => tf.tensor1d(w)));
  let output!: tf.Tensor;
  const [gamma, beta] = layer.trainableWeights.map((w) => w.read() as tf.Variable) as [tf.Variable, tf.Variable];
  const { grads } = tf.variableGrads(() => {
    output = tf.keep(layer.apply(x, { training: true }) as tf.Tensor);
    return tf.sum(tf.mul(output, dy)) as tf.Scalar;
  }, [x, gamma, beta]);
  const [mean, variance] = layer.nonTrainableWeights.map((w) => w.read().dataSync());
  return {
    output: output.dataSync(),
    dx: grads[x.name]!.dataSync(),
    dGamma: grads[gamma.name]!.dataSync(),
    dBeta: grads[beta.name]!.dataSync(),
    mean: mean!,
    variance: variance!,
  };
}

describe.each(backends)('FusedBatchNorm on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  // A map of odd extents, one row more than a vector width, dense activations, and a single row a channel (variance 0).
  const shapes = [
    [3, 5, 7, 6],
    [1, 3, 3, 17],
    [9, 8],
    [1, 4],
  ];
  it.each(shapes)('equals the float64 formula, %j %j %j %j', (...extents) => {
    const shape = extents.filter((e) => typeof e === 'number');
    const channels = shape[shape.length - 1]!;
    const size = shape.reduce((a, b) => a * b, 1);
    const x = scaled(size, 1, 2, 0.7);
    const dy = values(size, 2);
    const [gamma, beta] = [scaled(channels, 3, 0.5, 1), values(channels, 4)];
    const [mean0, variance0] = [values(channels, 5), scaled(channels, 6, 0.4, 1.5)];
    const actual = train(new FusedBatchNorm(), x, dy, shape, [gamma, beta, mean0, variance0]);
    const expected = batchNormTraining(x, gamma, beta, dy, EPSILON);
    expect(relativeError(actual.output, expected.output)).toBeLessThan(2e-5);
    expect(relativeError(actual.dBeta, expected.dBeta)).toBeLessThan(1e-5);
    if (size > channels) {
      expect(relativeError(actual.dx, expected.dx)).toBeLessThan(2e-5);
      expect(relativeError(actual.dGamma, expected.dGamma)).toBeLessThan(2e-5);
    } else {
      // One row: x̂ = 0, so both gradients vanish.
      for (const g of [...actual.dx, ...actual.dGamma]) expect(Math.abs(g)).toBeLessThan(1e-4);
    }
    const runningMean = mean0.map((m, c) => MOMENTUM * m + (1 - MOMENTUM) * expected.mean[c]!);
    const runningVariance = variance0.map((v, c) => MOMENTUM * v + (1 - MOMENTUM) * expected.unbiasedVariance[c]!);
    expect(relativeError(actual.mean, runningMean)).toBeLessThan(1e-5);
    expect(relativeError(actual.variance, runningVariance)).toBeLessThan(1e-5);
  });

  it('gives the output and the gradients of the stock layer', () => {
    const shape = [4, 6, 6, 5];
    const x = scaled(720, 1, 3, -1);
    const dy = values(720, 2);
    const weights = [scaled(5, 3, 0.5, 1), values(5, 4), values(5, 5), scaled(5, 6, 0.4, 1.5)];
    const fused = train(new FusedBatchNorm(), x, dy, shape, weights);
    const stock = train(tfl.layers.batchNormalization({ epsilon: EPSILON, momentum: MOMENTUM }), x, dy, shape, weights);
    for (const field of ['output', 'dx', 'dGamma', 'dBeta', 'mean'] as const) {
      expect(relativeError(fused[field], stock[field]), field).toBeLessThan(3e-5);
    }
  });

  it('uses the running statistics outside training, and leaves them', () => {
    for (const shape of [
      [2, 3, 3, 4],
      [6, 4],
    ]) {
      const size = shape.reduce((a, b) => a * b, 1);
      const x = values(size, 1);
      const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((seed) => scaled(4, seed, 0.3, 1)) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      const layer = new FusedBatchNorm();
      layer.build([null, ...shape.slice(1)]);
      layer.setWeights([gamma, beta, mean, variance].map((w) => tf.tensor1d(w)));
      const output = (layer.apply(tf.tensor(x, shape)) as tf.Tensor).dataSync();
      const expected = x.map(
        (v, i) => ((v - mean[i % 4]!) / Math.sqrt(variance[i % 4]! + EPSILON)) * gamma[i % 4]! + beta[i % 4]!,
      );
      expect(relativeError(output, expected)).toBeLessThan(1e-5);
      expect(layer.nonTrainableWeights.map((w) => [...w.read().dataSync()])).toEqual([[...mean], [...variance]]);
    }
  });

  it('keeps a frozen γ out of the trainable weights', () => {
    const layer = new FusedBatchNorm({ scaleTrainable: false });
    layer.build([null, 3]);
    expect(layer.trainableWeights.map((w) => w.originalName)).toEqual([expect.stringMatching(/beta$/)]);
    expect(layer.nonTrainableWeights).toHaveLength(3);
  });

  it('leaves no tensor behind', () => {
    const layer = new FusedBatchNorm();
    const x = tf.ones([2, 4, 4, 3]);
    layer.build(x.shape);
    const variables = layer.trainableWeights.map((w) => w.read() as tf.Variable);
    const step = () => {
      const { value, grads } = tf.variableGrads(
        () => tf.sum(layer.apply(x, { training: true }) as tf.Tensor),
        variables,
      );
      tf.dispose([value, grads]);
    };
    step();
    const before = tf.memory().numTensors;
    step();
    expect(tf.memory().numTensors).toBe(before);
  });
});
