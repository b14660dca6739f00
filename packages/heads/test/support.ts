import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

/** Throws unless `work` throws an error of that code whose message holds `text`. */
export function expectCode(work: () => unknown, code: string, text: string): void {
  let thrown: unknown;
  try {
    work();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ name: 'HyperArcError', code, message: expect.stringContaining(text) as string });
}

/** A toy set: clusters [count, dim] around `classes` directions, with their labels. Depends on `seed` alone. */
export function clusters(seed: number, count: number, classes: number, dim: number): [tf.Tensor2D, Int32Array] {
  const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
  const points = tf.tidy(() => {
    const directions = tf.randomNormal([classes, dim], 0, 1, 'float32', seed) as tf.Tensor2D;
    const noise = tf.randomNormal([count, dim], 0, 0.5, 'float32', seed + 1);
    return tf.add(tf.gather(directions, tf.tensor1d(labels, 'int32')), noise) as tf.Tensor2D;
  });
  return [points, labels];
}

export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((largest, value, e) => Math.max(largest, Math.abs(value - b[e])), 0);
}
