import { targetLogit, type ReferenceRule } from '@hyperarc/kernels-cuda/reference';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  arcFace,
  marginByName,
  marginLogits,
  marginSoftmaxLoss,
  MarginAdapter,
  normFace,
  type MarginSpec,
} from '../dist/index.js';
import { number } from './arbitrary-heads.js';

/** One seed for all, so that a run repeats the one before. */
const RUNS = { seed: 20_170_421, numRuns: 60 };

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Target logits at ascending angles in [0, π]: of the float64 reference, and of plain tfjs. */
function logitsAt(angles: readonly number[], spec: MarginSpec): { reference: number[]; tfjs: number[] } {
  const rule: ReferenceRule = spec;
  const reference = angles.map((angle) => targetLogit(Math.cos(angle), Math.sin(angle), rule).logit);
  const tfjs = tf.tidy(() => {
    const cosines = tf.tensor2d(angles.map(Math.cos), [angles.length, 1]);
    return Array.from(marginLogits(cosines, new Int32Array(angles.length), rule).dataSync());
  });
  return { reference, tfjs };
}

const angles = fc
  .uniqueArray(number(0, Math.PI), { minLength: 2, maxLength: 40 })
  .map((values) => values.sort((a, b) => a - b));
const largestRise = (values: readonly number[]) =>
  values.slice(1).reduce((most, value, i) => Math.max(most, value - values[i]!), -Infinity);

/** Options for which the papers' targets fall on all of [0, π]. */
const FALLING: Record<string, fc.Arbitrary<object>> = {
  normface: fc.constant({}),
  cosface: fc.record({ margin: number(-1, 1) }),
  // The published fallback, for the margins that the paper has.
  arcface: fc.record({ margin: number(0, Math.PI / 2), fallback: fc.constant('hard') }),
  sphereface: fc.record({ margin: number(1, 4), annealing: fc.constant(false) }),
  'x2-softmax': fc.record({ a: number(-4, -0.01), h: number(-Math.PI / 2, 0), k: number(-1, 1) }),
  'circle-softmax': fc.record({ margin: number(0, 1) }),
};

describe('the target logit falls as the angle grows, on all of [0, π]', () => {
  it.each(Object.keys(FALLING))('%s', (family) => {
    fc.assert(
      fc.property(FALLING[family]!, number(0, 10), angles, (options, power, at) => {
        const scale = 2 ** power;
        const { reference, tfjs } = logitsAt(at, marginByName(family, { ...options, scale }));
        expect(largestRise(reference)).toBeLessThanOrEqual(1e-13 * scale * 40);
        // fp32 keeps neither close angles apart nor the angle of a cosine near ±1: θ is exact to √(2·2⁻²⁴) there.
        expect(largestRise(tfjs)).toBeLessThanOrEqual(2e-3 * scale);
      }),
      RUNS,
    );
  });

  it('not for ArcFace without a fallback: from π − m on its target rises again', () => {
    fc.assert(
      fc.property(number(0.05, Math.PI / 2), (margin) => {
        const { reference, tfjs } = logitsAt([Math.PI - margin, Math.PI], arcFace({ margin, fallback: 'none' }));
        const rise = 64 * (1 - Math.cos(margin));
        expect(reference[1]! - reference[0]!).toBeCloseTo(rise, 9);
        expect(tfjs[1]! - tfjs[0]!).toBeCloseTo(rise, 3);
      }),
      RUNS,
    );
  });

  it("not for 'easy': past 90° the margin is gone at once", () => {
    fc.assert(
      fc.property(number(0.05, Math.PI / 2), (margin) => {
        const around = [Math.PI / 2 - 1e-6, Math.PI / 2 + 1e-6];
        const { reference, tfjs } = logitsAt(around, arcFace({ margin, fallback: 'easy' }));
        expect(reference[1]! - reference[0]!).toBeCloseTo(64 * Math.sin(margin), 3);
        expect(tfjs[1]! - tfjs[0]!).toBeCloseTo(64 * Math.sin(margin), 3);
      }),
      RUNS,
    );
  });

  it("'hard' falls at π − m by the published step, cos m + m·sin m − 1", () => {
    fc.assert(
      fc.property(number(0.05, 1.5), (margin) => {
        const around = [Math.PI - margin - 1e-6, Math.PI - margin + 1e-6];
        const { reference, tfjs } = logitsAt(around, arcFace({ margin, fallback: 'hard' }));
        const step = Math.cos(margin) + margin * Math.sin(margin) - 1;
        expect(step).toBeGreaterThan(0);
        expect(reference[0]! - reference[1]!).toBeCloseTo(64 * step, 2);
        expect(tfjs[0]! - tfjs[1]!).toBeCloseTo(64 * step, 2);
      }),
      RUNS,
    );
  });
});

/** Options of margin m, of which nothing but NormFace is left at m = 0. */
const VANISHING: Record<string, (m: number, classes: number) => object> = {
  arcface: (m) => ({ margin: m }),
  cosface: (m) => ({ margin: m }),
  combined: (m) => ({ m1: 1 + m, m2: m, m3: m }),
  sphereface: (m) => ({ margin: 1 + m, annealing: false }),
  magface: (m) => ({ lowerMargin: m, upperMargin: m }),
  adaface: (m) => ({ margin: m }),
  'mv-softmax': (m) => ({ margin: m, t: 1 + m }),
  elasticface: (m) => ({ margin: m, stddev: m }),
  'class-variant': (m, classes) => ({ margin: m, counts: Array.from({ length: classes }, (_, j) => j + 1) }),
  'group-margin': (m, classes) => ({ margins: [m, m / 2], groups: Array.from({ length: classes }, (_, j) => j % 2) }),
};

describe('as its margin goes to 0, a head becomes NormFace', () => {
  const [batch, classes, dim] = [4, 5, 6];
  const vectors = (count: number) =>
    fc.array(number(-1, 1), { minLength: count * dim, maxLength: count * dim }).map((values) =>
      // Away from zero vectors, which have no angle.
      values.map((value, e) => 20 * (value + (e % dim === 0 ? 1.5 : 0))),
    );
  const problem = fc.record({
    embeddings: vectors(batch),
    centers: vectors(classes),
    labels: fc.array(fc.integer({ min: 0, max: classes - 1 }), { minLength: batch, maxLength: batch }),
    scale: number(0, 8).map((power) => 2 ** power),
    margin: fc.oneof(fc.constant(0), number(0, 1e-3)),
  });

  /** Loss of a training batch, the first: adaptations take their part. */
  function lossOf(spec: MarginSpec, embeddings: number[], centers: number[], labels: number[]): number {
    return tf.tidy(() => {
      const [x, w] = [tf.tensor2d(embeddings, [batch, dim]), tf.tensor2d(centers, [classes, dim])];
      const training = { embeddings: x, labels: Int32Array.from(labels) };
      const unused = () => new Float32Array(batch);
      const adapter = new MarginAdapter(spec, classes);
      const margin = adapter.prepare({ ...training, targetCosines: unused, negativeLogSums: unused });
      return marginSoftmaxLoss(x, w, labels, margin.rule, margin.rowParameters).dataSync()[0]!;
    });
  }

  it.each(Object.keys(VANISHING))('%s', (family) => {
    fc.assert(
      fc.property(problem, ({ embeddings, centers, labels, scale, margin }) => {
        const regularizer = family === 'magface' ? { regularizer: 1e6 } : {};
        const spec = marginByName(family, { ...VANISHING[family]!(margin, classes), ...regularizer, scale });
        const [loss, expected] = [spec, normFace({ scale })].map((each) => lossOf(each, embeddings, centers, labels));
        // Every margin moves a logit by at most s·(3 + π)·m, and draws of ElasticFace lie within six of their σ of m.
        const moved = scale * margin * (family === 'elasticface' ? 7 : 3 + Math.PI);
        expect(Math.abs(loss! - expected!)).toBeLessThanOrEqual(moved + 4e-6 * (1 + scale));
      }),
      RUNS,
    );
  });
});
