import '@tensorflow/tfjs-backend-cpu';
import { cosines as referenceCosines } from '@hyperarc/kernels-cuda/reference';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { normals, problem } from '../../kernels-cuda/test/contract/data.js';
import { classCosines, type Centers } from '../dist/index.js';
import { maxDifference } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

describe('classCosines', () => {
  it.each([1, 3])('have the gradients that finite differences of the reference give, K = %i', (subCenters) => {
    const { centers, batch } = problem(71, { batch: 5, classes: 4, dim: 6, subCenters });
    const weights = centers.weights.map((value, e) => value + Math.sign(value) * 0.1 * (1 + (e % 3)));
    const embeddings = batch.embeddings.map((value) => value + Math.sign(value) * 0.5);
    const dy = normals(72, 5 * 4);
    const total = (x: ArrayLike<number>, w: ArrayLike<number>) =>
      referenceCosines({ ...centers, weights: w }, x).reduce((sum, cosine, e) => sum + dy[e]! * cosine, 0);
    const slopes = (values: Float32Array, f: (moved: Float64Array) => number) =>
      Array.from(values, (_, e) => {
        const [up, down] = [Float64Array.from(values), Float64Array.from(values)];
        up[e]! += 1e-6;
        down[e]! -= 1e-6;
        return (f(up) - f(down)) / 2e-6;
      });
    const [byEmbeddings, byCenters] = tf.tidy(() => {
      const shape = subCenters === 1 ? [4, 6] : [4, subCenters, 6];
      const f = (x: tf.Tensor, w: tf.Tensor) => classCosines(x as tf.Tensor2D, w as Centers);
      const inputs = [tf.tensor2d(embeddings, [5, 6]), tf.tensor(weights, shape)];
      const grads = tf.grads(f as (...tensors: tf.Tensor[]) => tf.Tensor)(inputs, tf.tensor2d(dy, [5, 4]));
      return grads.map((gradient) => gradient.dataSync<'float32'>());
    });
    const expectedByEmbeddings = slopes(embeddings, (moved) => total(moved, weights));
    const expectedByCenters = slopes(weights, (moved) => total(embeddings, moved));
    expect(Math.max(...expectedByEmbeddings, ...expectedByCenters)).toBeGreaterThan(0.1);
    expect(maxDifference(byEmbeddings!, expectedByEmbeddings)).toBeLessThan(1e-5);
    expect(maxDifference(byCenters!, expectedByCenters)).toBeLessThan(1e-5);
  });

  it('of zero rows are 0, as are their gradients', () => {
    tf.tidy(() => {
      const x = tf.tensor2d([0, 0, 1, 2], [2, 2]);
      const w = tf.tensor2d([3, 1, 0, 0], [2, 2]);
      const f = (a: tf.Tensor, b: tf.Tensor) => classCosines(a as tf.Tensor2D, b as Centers);
      expect(Array.from(f(x, w).dataSync())).toEqual([0, 0, expect.closeTo(5 / Math.sqrt(50), 6) as number, 0]);
      const [dX, dW] = tf.grads(f as (...tensors: tf.Tensor[]) => tf.Tensor)([x, w]);
      expect(Array.from(dX!.dataSync().slice(0, 2))).toEqual([0, 0]);
      expect(Array.from(dW!.dataSync().slice(2))).toEqual([0, 0]);
      expect(
        dX!
          .dataSync()
          .slice(2)
          .every((value) => value !== 0),
      ).toBe(true);
    });
  });
});
