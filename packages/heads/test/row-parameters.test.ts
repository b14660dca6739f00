import '@tensorflow/tfjs-backend-cpu';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import type { NegativeRule } from '@hyperarc/kernels-cuda/margin';
import type { ReferenceRule } from '@hyperarc/kernels-cuda/reference';
import { forward, negativeValue, targetLogit, targetThreshold } from '@hyperarc/kernels-cuda/reference';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ARCFACE, normals, problem } from '../../kernels-cuda/test/contract/data.js';
import { marginLogits, marginSoftmaxLoss } from '../dist/index.js';
import { expectCode, maxDifference } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

/** CurricularFace's form with t = 0.25, and circle loss's with m = 0.25: one threshold a sample, one for all. */
const HARD_WEIGHTED: NegativeRule = {
  threshold: 'target',
  above: { value: [0, 0.25, 1], slope: [0.25, 2] },
  below: { value: [0, 1, 0], slope: [1, 0] },
};
const CLIPPED_SQUARE: NegativeRule = {
  threshold: -0.25,
  above: { value: [-0.0625, 0, 1], slope: [0, 2] },
  below: { value: [0, 0, 0], slope: [0, 0] },
};
const RULES: { name: string; rule: ReferenceRule }[] = [
  { name: 'ArcFace', rule: { ...ARCFACE, scale: 16 } },
  { name: 'ArcFace, negatives above the target', rule: { ...ARCFACE, scale: 16, negatives: HARD_WEIGHTED } },
  {
    name: 'sphere, blended',
    rule: { ...ARCFACE, scale: 16, family: 'sphere', m1: 3, m2: 0, fallback: 'none', blend: 0.25 },
  },
  { name: 'quadratic', rule: { ...ARCFACE, scale: 16, family: 'quadratic', m1: 0.875, m3: -0.625, fallback: 'none' } },
  {
    name: 'circle',
    rule: { ...ARCFACE, scale: 16, family: 'circle', m2: 0.25, fallback: 'none', negatives: CLIPPED_SQUARE },
  },
];

/** (s, m1, m2, m3) of each sample near those of the rule; sphere has no m2. */
function rowsAround({ scale, m1, m2, m3, family }: ReferenceRule, batch: number): Float32Array {
  const width = [4, 0.05, family === 'sphere' ? 0 : 0.05, 0.05];
  return normals(5, 4 * batch).map((value, e) => [scale, m1, m2, m3][e % 4] + width[e % 4] * Math.tanh(value));
}

describe('row parameters of marginSoftmaxLoss', () => {
  it.each(RULES)('have the gradient that finite differences of the reference give: $name', ({ rule }) => {
    const { centers, batch } = problem(61, { batch: 9, classes: 7, dim: 10, subCenters: 2 }, rule);
    const rowParameters = rowsAround(rule, 9);
    const gradient = tf.tidy(() => {
      const x = tf.tensor2d(batch.embeddings, [9, 10]);
      const w = tf.tensor3d(centers.weights, [7, 2, 10]);
      const loss = (rows: tf.Tensor) => marginSoftmaxLoss(x, w, batch.labels, rule, rows as tf.Tensor2D);
      return tf
        .grad(loss)(tf.tensor2d(rowParameters, [9, 4]))
        .dataSync<'float32'>();
    });
    const step = 1e-5;
    const columns = rule.family === 'sphere' ? [0, 1, 3] : [0, 1, 2, 3];
    const lossAt = (e: number, offset: number) => {
      const moved = Float64Array.from(rowParameters);
      moved[e] += offset;
      return forward([centers], { ...batch, rowParameters: moved }).loss;
    };
    const expected = Array.from(rowParameters, (_, e) =>
      columns.includes(e % 4) ? (lossAt(e, step) - lossAt(e, -step)) / (2 * step) : 0,
    );
    const ofMargins = expected.filter((_, e) => e % 4 !== 0);
    expect(Math.max(...ofMargins.map(Math.abs))).toBeGreaterThan(0.1);
    expect(maxDifference(gradient, expected)).toBeLessThan(1e-5 * Math.max(...expected.map(Math.abs)) + 1e-7);
  });

  it('that are the rule’s own numbers change no bit', () => {
    const { centers, batch } = problem(62, { batch: 6, classes: 5, dim: 8 });
    const [plain, given] = [false, true].map((hasRows) =>
      tf.tidy(() => {
        const rows = hasRows ? tf.tensor2d(Array.from({ length: 6 }, () => [64, 1, 0.5, 0])) : undefined;
        const loss = (x: tf.Tensor) =>
          marginSoftmaxLoss(x as tf.Tensor2D, tf.tensor2d(centers.weights, [5, 8]), batch.labels, ARCFACE, rows);
        const { value, grad } = tf.valueAndGrad(loss)(tf.tensor2d(batch.embeddings, [6, 8]));
        return [...value.dataSync(), ...grad.dataSync()];
      }),
    );
    expect(given).toEqual(plain);
  });

  it('of wrong shape, type or range are refused by name', () => {
    const x = tf.ones([2, 3]) as tf.Tensor2D;
    const w = tf.ones([4, 3]) as tf.Tensor2D;
    const lossWith = (rows: unknown) => () => marginSoftmaxLoss(x, w, [0, 1], ARCFACE, rows as tf.Tensor2D);
    expectCode(lossWith(tf.ones([2, 3])), 'E_SHAPE', 'rowParameters: expected [2, 4]');
    expectCode(lossWith(tf.ones([3, 4])), 'E_SHAPE', 'rowParameters: expected [2, 4]');
    expectCode(lossWith(tf.ones([2, 4], 'int32')), 'E_DTYPE', 'rowParameters: expected float32');
    expectCode(lossWith([[1, 1, 0, 0]]), 'E_DTYPE', 'rowParameters: expected a float32 tensor');
    const good = [64, 1, 0.5, 0];
    [-1, 5, 2, NaN].forEach((bad, column) => {
      const row = good.map((value, c) => (c === column ? bad : value));
      const field = ['scale', 'm1', 'm2', 'm3'][column];
      expectCode(lossWith(tf.tensor2d([good, row])), 'E_RANGE', `rowParameters[1]: margin.${field}: expected`);
    });
    const sphere: ReferenceRule = { ...ARCFACE, family: 'sphere', m1: 4, m2: 0, fallback: 'none' };
    expectCode(
      () => marginSoftmaxLoss(x, w, [0, 1], sphere, tf.tensor2d([good, good])),
      'E_RANGE',
      'rowParameters[0]: margin.m2',
    );
    expectCode(
      () => marginLogits(x, [0, 1], ARCFACE, tf.ones([1, 4]) as tf.Tensor2D),
      'E_SHAPE',
      'rowParameters: expected [2, 4]',
    );
  });
});

describe('marginLogits with families, negative rules and row parameters', () => {
  const classes = 5;
  const labels = [2, 0, 4, 1];
  const cosines = normals(7, 4 * classes).map((value) => 0.9 * Math.tanh(value));

  /** Logit (i, j) of the reference for its cosine and row parameters, in float64. */
  function logitOf(rule: ReferenceRule, rows: ArrayLike<number>, all: ArrayLike<number>, e: number): number {
    const i = Math.floor(e / classes);
    const [scale, m1, m2, m3] = [0, 1, 2, 3].map((column) => rows[4 * i + column]);
    const own = { ...rule, scale, m1, m2, m3 };
    const target = all[i * classes + labels[i]];
    const sine = Math.sqrt(1 - target ** 2);
    if (e % classes === labels[i]) return targetLogit(target, sine, own).logit;
    return scale * negativeValue(all[e], targetThreshold(target, sine, own), rule.negatives).value;
  }

  it.each(RULES)('equal the reference, and so do their gradients: $name', ({ rule }) => {
    const rows = rowsAround(rule, 4);
    const weights = normals(8, 4 * classes);
    const total = (r: ArrayLike<number>, c: ArrayLike<number>) =>
      weights.reduce((sum, weight, e) => sum + weight * logitOf(rule, r, c, e), 0);
    const slopeAt = (values: Float32Array, f: (moved: Float64Array) => number, e: number) => {
      const [up, down] = [Float64Array.from(values), Float64Array.from(values)];
      up[e] += 1e-6;
      down[e] -= 1e-6;
      return (f(up) - f(down)) / 2e-6;
    };
    const [logits, byCosine, byRows] = tf.tidy(() => {
      const f = (c: tf.Tensor, r: tf.Tensor) => marginLogits(c as tf.Tensor2D, labels, rule, r as tf.Tensor2D);
      const inputs = [tf.tensor2d(cosines, [4, classes]), tf.tensor2d(rows, [4, 4])];
      const gradients = tf.grads(f as (...tensors: tf.Tensor[]) => tf.Tensor)(
        inputs,
        tf.tensor2d(weights, [4, classes]),
      );
      return [f(inputs[0], inputs[1]), ...gradients].map((tensor) => tensor.dataSync<'float32'>());
    });
    const expectedLogits = Array.from(cosines, (_, e) => logitOf(rule, rows, cosines, e));
    expect(maxDifference(logits, expectedLogits)).toBeLessThan(2e-5);
    const expectedByCosine = Array.from(cosines, (_, e) => slopeAt(cosines, (moved) => total(rows, moved), e));
    expect(maxDifference(byCosine, expectedByCosine)).toBeLessThan(1e-3);
    const expectedByRows = Array.from(rows, (_, e) =>
      rule.family === 'sphere' && e % 4 === 2 ? 0 : slopeAt(rows, (moved) => total(moved, cosines), e),
    );
    expect(maxDifference(byRows, expectedByRows)).toBeLessThan(1e-3);
  });
});
