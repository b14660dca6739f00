import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  circleLoss,
  contrastiveLoss,
  softmaxLoss,
  sphereFace2Bias,
  sphereFace2Loss,
  tripletLoss,
  unifaceBias,
  unifaceLoss,
  type TripletLossOptions,
} from '../../dist/index.js';
import { expectCode } from '../support.js';
import { makeProblem } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

type Metric = (x: tf.Tensor2D, labels: readonly number[]) => tf.Scalar;

function runMetric(loss: Metric, rows: readonly (readonly number[])[], labels: readonly number[]) {
  return tf.tidy(() => {
    const x = tf.tensor2d(rows as number[][]);
    const { value, grad } = tf.valueAndGrad((points: tf.Tensor) => loss(points as tf.Tensor2D, labels))(x);
    return { value: value.dataSync()[0], gradient: Array.from(grad.dataSync()) };
  });
}

const triplet =
  (options: TripletLossOptions): Metric =>
  (x, y) =>
    tripletLoss(x, y, options);
const metrics: Record<string, Metric> = {
  'triplet batch-all': triplet({ mining: 'batch-all' }),
  'triplet batch-all, euclidean, nonzero': triplet({ mining: 'batch-all', distance: 'euclidean', average: 'nonzero' }),
  'triplet batch-all, soft': triplet({ mining: 'batch-all', margin: 'soft', distance: 'euclidean' }),
  'triplet batch-hard': triplet({ mining: 'batch-hard' }),
  'triplet batch-hard, euclidean': triplet({ mining: 'batch-hard', distance: 'euclidean', normalize: false }),
  'triplet semi-hard': triplet({ mining: 'semi-hard', distance: 'euclidean' }),
  circle: (x, y) => circleLoss(x, y),
  contrastive: (x, y) => contrastiveLoss(x, y),
};

describe.each(Object.entries(metrics))('%s', (name, loss) => {
  const { embeddings } = makeProblem(3, 4, 4, 5).inputs;
  const zeros = new Array(20).fill(0) as number[];

  it('is 0 with gradient 0 for a single sample', () => {
    expect(runMetric(loss, embeddings.slice(0, 1), [7])).toEqual({ value: 0, gradient: zeros.slice(0, 5) });
  });

  it.runIf(name !== 'contrastive')('is 0 with gradient 0 without a valid triplet', () => {
    for (const labels of [
      [3, 3, 3, 3],
      [0, 1, 2, 2 ** 31 - 1],
    ]) {
      const { value, gradient } = runMetric(loss, embeddings, labels);
      expect(value).toBe(0);
      expect(gradient.map(Math.abs)).toEqual(zeros);
    }
  });

  it('has a finite gradient where embeddings are the same point, or zero', () => {
    const row = embeddings[0];
    for (const rows of [[row, row, row, row], [row, row, embeddings[1], row], embeddings.map(() => [0, 0, 0, 0, 0])]) {
      const { value, gradient } = runMetric(loss, rows, [0, 0, 1, 1]);
      expect(Number.isFinite(value)).toBe(true);
      expect(gradient.every(Number.isFinite)).toBe(true);
    }
  });

  it('is not finite where an embedding is not, also one that no triplet holds', () => {
    for (const wrong of [NaN, Infinity]) {
      const rows = [...embeddings.slice(0, 3), embeddings[3].with(1, wrong)];
      expect(runMetric(loss, rows, [0, 0, 1, 2]).value).toBeNaN();
    }
  });
});

describe('tripletLoss', () => {
  it('mines the lowest index among equally far positives and equally near negatives', () => {
    // Positives at 1 and 2, negatives at 3 and 4, all 1 away from the anchor; the other anchors have nothing.
    const rows = [
      [0, 0],
      [1, 0],
      [0, 1],
      [-1, 0],
      [0, -1],
    ];
    const loss = triplet({ mining: 'batch-hard', margin: 0.5, distance: 'euclidean', normalize: false });
    const { gradient } = runMetric(loss, rows, [0, 0, 0, 1, 2]);
    // Anchor 0 takes samples 1 and 3, anchor 1 takes 2 and 4, anchor 2 takes 1 and 3.
    const h = Math.SQRT1_2;
    const sums = [-2, 0, 1 + h, -3 * h, -3 * h, h, 1 + h, h, h, h];
    gradient.forEach((value, e) => expect(3 * value).toBeCloseTo(sums[e], 5));
  });

  it('takes no triplet at either end of the semi-hard band', () => {
    // d(a, p) = 1; negatives at 1 (not beyond the positive), 1.5 (in the band), 2 (at its end).
    const rows = [[0], [1], [-1], [1.5], [2]];
    const loss = triplet({ mining: 'semi-hard', margin: 1, distance: 'euclidean', normalize: false });
    const anchorOnly = runMetric(loss, rows, [0, 0, 1, 2, 3]);
    // Anchor 0: −1 → 1 no, 1.5 yes (loss .5), 2 no. Anchor 1: −1 at 2 no, 1.5 at .5 no, 2 at 1 no.
    expect(anchorOnly.value).toBeCloseTo(0.5, 6);
    [0, 1, 0, -1, 0].forEach((value, e) => expect(anchorOnly.gradient[e]).toBeCloseTo(value, 6));
  });
});

describe('softmaxLoss', () => {
  const run = (x: number[][], w: number[][], b: number[], y: number[]) =>
    tf.tidy(() => {
      const loss = (...t: tf.Tensor[]) => softmaxLoss(t[0] as tf.Tensor2D, t[1] as tf.Tensor2D, t[2] as tf.Tensor1D, y);
      const { value, grads } = tf.valueAndGrads(loss)([tf.tensor2d(x), tf.tensor2d(w), tf.tensor1d(b)]);
      return [value.dataSync()[0], ...grads.map((grad) => Array.from(grad.dataSync()))] as [number, ...number[][]];
    });

  it('keeps the digits of a small loss, and survives logits of any size', () => {
    const [small] = run([[1]], [[30], [0]], [0, 0], [0]);
    expect(small / Math.exp(-30)).toBeCloseTo(1, 4);
    const [large, dX] = run([[1e15]], [[1e15], [-1e15]], [0, 0], [1]);
    expect(large / 2e30).toBeCloseTo(1, 5);
    expect(dX[0] / 2e15).toBeCloseTo(1, 5);
    const [low] = run([[1e15]], [[-1e20], [-1.1e20]], [0, 0], [0]);
    expect(low).toBe(0);
  });

  it('is 0 with gradient 0 for one class', () => {
    const [value, dX, dW, dB] = run([[2, 3]], [[4, 5]], [1], [0]);
    expect([value, ...dX, ...dW, ...dB].map(Math.abs)).toEqual([0, 0, 0, 0, 0, 0]);
  });
});

describe('the pairwise-sigmoid losses', () => {
  it.each([2, 3, 1000, 1_000_000])('sphereFace2Bias balances positives and negatives of %i classes', (classes) => {
    for (const options of [{}, { balance: 0.9, scale: 4, margin: 0.1, exponent: 1 }]) {
      const { balance, scale, margin, exponent } = { balance: 0.7, scale: 40, margin: 0.4, exponent: 3, ...options };
      const b = sphereFace2Bias(classes, options);
      const atZero = 2 * 0.5 ** exponent - 1;
      const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
      const positive = balance * sigmoid(-scale * (atZero - margin) - b);
      const negative = (1 - balance) * (classes - 1) * sigmoid(scale * (atZero + margin) + b);
      expect(positive / negative).toBeCloseTo(1, 8);
    }
  });

  it('unifaceBias is ln(10·r·C)', () => {
    expect(unifaceBias(1000)).toBeCloseTo(Math.log(10_000), 12);
    expect(unifaceBias(1000, 0.1)).toBeCloseTo(Math.log(1000), 12);
  });

  it('are finite at cosines of ±1 and for zero vectors, and take a bias as a number', () => {
    const rows = [
      [1, 1, 1],
      [-1, -1, -1],
      [0, 0, 0],
      [0.1, 0.1, 0.1],
    ];
    for (const loss of [sphereFace2Loss, unifaceLoss]) {
      const { value, gradient } = runMetric(
        (x, y) => loss(x, tf.tensor2d(rows), -1.5, y, { margin: 0.2 }),
        rows,
        [0, 1, 2, 0],
      );
      expect(Number.isFinite(value)).toBe(true);
      expect(gradient.every(Number.isFinite)).toBe(true);
    }
  });

  it('can learn their bias as a variable', () => {
    const bias = tf.variable(tf.scalar(0));
    const { inputs, labels } = makeProblem(5, 8, 4, 6);
    const [x, w] = [inputs.embeddings, inputs.centers].map((rows) => tf.tensor2d(rows as number[][]));
    const loss = () => unifaceLoss(x, w, bias, labels, { scale: 8 });
    const first = tf.tidy(() => loss().dataSync()[0]);
    for (let t = 0; t < 20; t++) tf.train.sgd(0.5).minimize(loss, false, [bias]);
    expect(tf.tidy(() => loss().dataSync()[0])).toBeLessThan(first - 0.1);
    tf.dispose([bias, x, w]);
  });
});

describe('bad input', () => {
  const x = () => tf.ones([2, 4]) as tf.Tensor2D;
  const w = () => tf.ones([3, 4]) as tf.Tensor2D;
  const b = () => tf.zeros([3]) as tf.Tensor1D;

  it.each<[string, string, () => unknown]>([
    ['E_RANGE', 'mining', () => tripletLoss(x(), [0, 1], { mining: 'hard' as never })],
    ['E_RANGE', 'margin', () => tripletLoss(x(), [0, 1], { margin: 0 })],
    ['E_RANGE', 'margin: expected a number with semi-hard mining', () => tripletLoss(x(), [0, 1], { margin: 'soft' })],
    ['E_RANGE', 'distance', () => tripletLoss(x(), [0, 1], { distance: 'cosine' as never })],
    ['E_RANGE', 'average', () => tripletLoss(x(), [0, 1], { average: 'sum' as never })],
    ['E_RANGE', 'normalize', () => tripletLoss(x(), [0, 1], { normalize: 1 as never })],
    ['E_RANGE', 'tripletLoss.alpha', () => tripletLoss(x(), [0, 1], { alpha: 1 } as never)],
    ['E_RANGE', 'labels[1]', () => tripletLoss(x(), [0, -1])],
    ['E_RANGE', 'labels[0]', () => contrastiveLoss(x(), [2 ** 31, 0])],
    ['E_SHAPE', 'labels', () => circleLoss(x(), [0])],
    ['E_SHAPE', 'embeddings', () => circleLoss(tf.ones([2]) as never, [0, 1])],
    ['E_SHAPE', 'embeddings', () => contrastiveLoss(tf.ones([0, 4]) as tf.Tensor2D, [])],
    ['E_DTYPE', 'embeddings', () => contrastiveLoss([[1, 2]] as never, [0])],
    ['E_DTYPE', 'embeddings', () => tripletLoss(tf.ones([2, 4], 'int32') as tf.Tensor2D, [0, 1])],
    ['E_RANGE', 'margin', () => contrastiveLoss(x(), [0, 1], { margin: -1 })],
    ['E_RANGE', 'scale', () => circleLoss(x(), [0, 1], { scale: 0 })],
    ['E_RANGE', 'gradient', () => circleLoss(x(), [0, 1], { gradient: 'detached' as never })],
    ['E_RANGE', 'labels[1]: expected an integer in [0, 3), received 3', () => softmaxLoss(x(), w(), b(), [0, 3])],
    ['E_SHAPE', 'biases', () => softmaxLoss(x(), w(), tf.zeros([2]) as tf.Tensor1D, [0, 1])],
    ['E_SHAPE', 'weights', () => softmaxLoss(x(), tf.ones([3, 2, 4]) as never, b(), [0, 1])],
    ['E_SHAPE', 'embeddings', () => softmaxLoss(tf.ones([2, 5]) as tf.Tensor2D, w(), b(), [0, 1])],
    ['E_DTYPE', 'weights', () => softmaxLoss(x(), undefined as never, b(), [0, 1])],
    ['E_RANGE', 'balance', () => sphereFace2Loss(x(), w(), 0, [0, 1], { balance: 1 })],
    ['E_RANGE', 'exponent', () => sphereFace2Loss(x(), w(), 0, [0, 1], { exponent: 0.5 })],
    ['E_RANGE', 'gradient', () => sphereFace2Loss(x(), w(), 0, [0, 1], { gradient: 'detached' as never })],
    ['E_RANGE', 'bias', () => sphereFace2Loss(x(), w(), NaN, [0, 1])],
    ['E_SHAPE', 'bias', () => unifaceLoss(x(), w(), tf.zeros([3]) as never, [0, 1])],
    ['E_RANGE', 'margin', () => unifaceLoss(x(), w(), 0, [0, 1], { margin: 1.5 })],
    ['E_RANGE', 'classes', () => sphereFace2Bias(1)],
    ['E_RANGE', 'rate', () => unifaceBias(10, 0)],
  ])('is an %s that names %s', (code, text, work) => tf.tidy(() => expectCode(work, code, text)));
});
