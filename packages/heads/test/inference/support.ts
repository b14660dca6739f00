import * as tf from '@tensorflow/tfjs-core';
import { PartialFC } from '../../dist/engine/index.js';
import { arcFace, MarginHead, type HeadWithCenters } from '../../dist/index.js';
import { randomNumbers } from '../losses/support.js';

export interface Shape {
  readonly classes: number;
  readonly subCenters: number;
  readonly dim: number;
}

export interface TestHead extends HeadWithCenters {
  dispose(): void;
}

/** Heads with the given centres [C, K, D]: in tfjs, and in the engine. */
export const makeHead: Record<string, (shape: Shape, weights: Float32Array) => TestHead> = {
  MarginHead: ({ classes, subCenters, dim }, weights) => {
    const head = new MarginHead({ classes, subCenters, dim, margin: arcFace() });
    tf.tidy(() => (head.centers as tf.Variable).assign(tf.tensor(weights, head.centers.shape)));
    return head;
  },
  PartialFC: (shape, weights) => {
    const head = new PartialFC({ ...shape, margin: arcFace(), device: 'cpu' });
    head.centers.writeRows(0, weights);
    return head;
  },
};

export function normals(seed: number, count: number): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: count }, () => random() + random() + random());
}

/** Cosine of rows in float64; 0 for a zero row. */
export function cosine(a: ArrayLike<number>, aRow: number, b: ArrayLike<number>, bRow: number, dim: number): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let d = 0; d < dim; d++) {
    const [x, y] = [a[aRow * dim + d], b[bRow * dim + d]];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb);
}
