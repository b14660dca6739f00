import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { createBackbone, type BackboneOptions } from '../../dist/backbones/index.js';
import { variableGradients } from '../../dist/optim/index.js';
import { backends, useBackend, values } from '../layers/backends.js';

const BATCH = 3;
const MOBILE: BackboneOptions = { name: 'mobilefacenet', inputSize: 16, embeddingSize: 8, seed: 1 };
const LARGE: BackboneOptions[] = [
  { name: 'iresnet18', inputSize: 16, embeddingSize: 8, dropout: 0.2, seed: 1 },
  { name: 'irse50', inputSize: 16, embeddingSize: 8, seed: 1 },
  { name: 'vit-t', inputSize: 32, embeddingSize: 8, seed: 1 },
];

type Grads = (f: () => tf.Scalar, variables: tf.Variable[]) => { value: tf.Scalar; grads: tf.NamedTensorMap };

/** Value and gradients of a network with fresh weights, and the bytes held when the gradient reaches the images. */
function run(grads: Grads, options: BackboneOptions) {
  const model = createBackbone(options);
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const shape = [BATCH, options.inputSize!, options.inputSize!, 3];
  // The images lead to no variable; an offset that does is the last node of the backward pass.
  const images = tf.tensor(
    values(
      shape.reduce((a, b) => a * b),
      7,
    ),
    shape,
  );
  const offset = tf.variable(tf.zeros(shape), true);
  let bytesAtEnd = NaN;
  const watch = tf.customGrad((x) => ({
    value: tf.clone(x as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => {
      bytesAtEnd = tf.memory().numBytes;
      return tf.clone(dy);
    },
  }));
  const before = { tensors: tf.memory().numTensors, bytes: tf.memory().numBytes };
  const result = grads(() => {
    const y = model.apply(watch(tf.add(images, offset)), { training: true }) as tf.Tensor;
    return tf.sum(tf.mul(y, tf.add(tf.square(y), y))) as tf.Scalar;
  }, [...variables, offset]);
  const left = tf.memory().numTensors - before.tensors - 1 - Object.keys(result.grads).length;
  // Names count up from model to model; their order stays.
  const numbers = [...variables, offset].map(({ name }) => Float32Array.from(result.grads[name]!.dataSync()));
  const loss = result.value.dataSync()[0]!;
  tf.dispose([result.value, result.grads, images, offset]);
  (model as tfl.LayersModel).dispose();
  return { loss, numbers, left, held: bytesAtEnd - before.bytes };
}

describe.each(backends)('variableGradients on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  // Tens of millions of weights: on the fastest one; and plain JavaScript is slow for any network.
  const networks = backend === backends.at(-1) ? [MOBILE, ...LARGE] : [MOBILE];
  it.skipIf(backend === 'cpu').each(networks)(
    'gives the bits of tf.variableGrads for $name, from less memory, and leaves nothing',
    (options) => {
      const theirs = run(tf.variableGrads, options);
      const ours = run(variableGradients, options);
      expect(ours.loss).toBe(theirs.loss);
      expect(Math.abs(ours.loss)).toBeGreaterThan(1e-6);
      // Millions of numbers: as bytes.
      const bits = ({ buffer }: Float32Array) => Buffer.from(buffer);
      expect(theirs.numbers.every((numbers, i) => bits(numbers).equals(bits(ours.numbers[i]!)))).toBe(true);
      expect(Math.max(...theirs.numbers.at(-1)!)).toBeGreaterThan(0);
      expect(ours.left).toBe(theirs.left);
      const weights = 4 * ours.numbers.reduce((sum, { length }) => sum + length, 0);
      // Beside the gradients of the weights there is one gradient on its way; tf.variableGrads still has them all, and the activations.
      expect(ours.held - weights).toBeLessThan(0.2 * (theirs.held - weights));
    },
  );

  it('lets a gradient that is handed on, or to two inputs, live as long as each of them', () => {
    const both = tf.customGrad((a, b) => ({
      value: tf.add(a as tf.Tensor, b as tf.Tensor),
      gradFunc: (dy: tf.Tensor) => [dy, dy],
    }));
    const kept = tf.customGrad((x, save) => {
      (save as tf.GradSaveFunc)([tf.mul(x as tf.Tensor, 2)]);
      // The gradient of the sum of squares is what was saved.
      return { value: tf.sum(tf.square(x as tf.Tensor)), gradFunc: (_: tf.Tensor, saved: tf.Tensor[]) => saved[0]! };
    });
    const [u, v] = [tf.variable(tf.tensor1d([1, 2, 3])), tf.variable(tf.tensor1d([-4, 5, 0.5]))];
    const { value, grads } = variableGradients(
      () => kept(both(tf.square(both(u, v)), tf.mul(u, v))) as tf.Scalar,
      [u, v],
    );
    // d/du Σ ((u + v)² + u·v)² = 2·((u + v)² + u·v)·(2·(u + v) + v)
    const [a, b] = [
      [1, 2, 3],
      [-4, 5, 0.5],
    ] as const;
    const inner = a.map((x, i) => (x + b[i]!) ** 2 + x * b[i]!);
    expect([...grads[u.name]!.dataSync()]).toEqual(a.map((x, i) => 2 * inner[i]! * (2 * (x + b[i]!) + b[i]!)));
    expect([...grads[v.name]!.dataSync()]).toEqual(a.map((x, i) => 2 * inner[i]! * (2 * (x + b[i]!) + x)));
    tf.dispose([value, grads, u, v]);
  });
});
