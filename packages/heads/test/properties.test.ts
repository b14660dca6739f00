import {
  centerGradient,
  forward,
  negativeValue,
  targetLogit,
  type ReferenceRule,
} from '@hyperarc/kernels-cuda/reference';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  marginFamilyNames,
  MarginAdapter,
  marginSoftmaxLoss,
  needsNorms,
  type Centers,
  type MarginSpec,
} from '../dist/index.js';
import { arbitraryProblem, number, type RandomProblem } from './arbitrary-heads.js';
import { maxDifference } from './support.js';

/** One seed for all, so that a run repeats the one before. */
const RUNS = { seed: 20_170_421, numRuns: 40 };

/** What a head makes of a problem: the mean loss, dX [B, D] and dW [C, K, D]. */
interface Result {
  readonly loss: number;
  readonly dX: ArrayLike<number>;
  readonly dW: ArrayLike<number>;
}
type Head = (problem: RandomProblem) => Result;

interface Margin {
  readonly rule: ReferenceRule;
  readonly rows: Float32Array | undefined;
}

/** The margin of the problem's samples: the rule, and (s, m1, m2, m3) of each where they differ. */
function marginOf({ shape, embeddings, labels, spec }: RandomProblem): Margin {
  const adapter = new MarginAdapter(spec, shape.classes);
  const x = tf.tensor2d(embeddings, [shape.batch, shape.dim]);
  const { rule, rowParameters } = adapter.evaluate({ embeddings: x, labels });
  const rows = rowParameters?.dataSync<'float32'>().slice();
  tf.dispose([x, ...(rowParameters ? [rowParameters] : [])]);
  return { rule, rows };
}

/** (s, m1, m2, m3) of each sample. */
function rulesOf(problem: RandomProblem): ReferenceRule[] {
  const { rule, rows } = marginOf(problem);
  return Array.from(problem.labels, (_, i) => {
    if (!rows) return rule;
    const [scale, m1, m2, m3] = rows.subarray(4 * i, 4 * i + 4);
    return { ...rule, scale, m1, m2, m3 } as ReferenceRule;
  });
}

const reference: Head = (problem) => {
  const { shape, embeddings, centers: weights, labels } = problem;
  const { rule, rows } = marginOf(problem);
  const centers = { ...shape, firstClass: 0, weights };
  const step = forward([centers], { embeddings, labels, rule, rowParameters: rows });
  return { loss: step.loss, dX: step.embeddingGradient, dW: centerGradient(centers, [step]) };
};

const tfjs: Head = (problem) => {
  const { shape, embeddings, centers, labels } = problem;
  const { batch, classes, subCenters, dim } = shape;
  const { rule, rows } = marginOf(problem);
  return tf.tidy(() => {
    const x = tf.tensor2d(embeddings, [batch, dim]);
    const w =
      subCenters === 1 ? tf.tensor2d(centers, [classes, dim]) : tf.tensor3d(centers, [classes, subCenters, dim]);
    const rowParameters = rows && tf.tensor2d(rows, [batch, 4]);
    const lossOf = (points: tf.Tensor, all: tf.Tensor) =>
      marginSoftmaxLoss(points as tf.Tensor2D, all as Centers, labels, rule, rowParameters);
    const { value, grads } = tf.valueAndGrads(lossOf)([x, w]);
    const [dX, dW] = grads.map((gradient) => gradient.dataSync());
    return { loss: value.dataSync()[0]!, dX: dX!, dW: dW! };
  });
};

const rowsOf = (values: ArrayLike<number>, dim: number) =>
  Array.from({ length: values.length / dim }, (_, r) =>
    Float64Array.from({ length: dim }, (__, d) => values[r * dim + d]!),
  );
const shortest = ({ embeddings, shape }: RandomProblem) =>
  Math.min(...rowsOf(embeddings, shape.dim).map((row) => Math.hypot(...row)));

/** Bound of |dT/dcos φ|, |T| and |N'| over the scale: by how much rounding a cosine may move a logit. */
function steepness({ family = 'cosine', m1, m2, negatives }: ReferenceRule): number {
  const far = Math.PI + Math.abs(m2);
  const target = { cosine: 2 * m1 + 2, sphere: 2 * m1 + 1, quadratic: m1 * far * Math.max(2, far), circle: 8 }[family];
  const branches = negatives ? [negatives.above, negatives.below] : [];
  return Math.max(target, 1, ...branches.map(({ value }) => Math.abs(value[0]) + Math.abs(value[1]) + 2 * value[2]));
}

/** Rounding of a loss and, per unit of 1/‖x‖, of a gradient, where cosines are exact to `epsilon`. */
function slack(problem: RandomProblem, epsilon: number): { loss: number; gradient: number } {
  const logits = Math.max(...rulesOf(problem).map((rule) => rule.scale * steepness(rule)));
  return { loss: epsilon * (1 + logits), gradient: logits * epsilon * (20 + logits) };
}

const permuted = <T>(values: readonly T[], order: readonly number[]): T[] => order.map((from) => values[from]!);
const flat = (rows: readonly (readonly number[] | Float64Array)[]) =>
  Float32Array.from(rows.flatMap((row) => [...row]));
const orderOf = (count: number, keys: readonly number[]) =>
  Array.from({ length: count }, (_, i) => i).sort((a, b) => keys[a]! - keys[b]! || a - b);
const keys = fc.array(fc.integer(), { minLength: 6, maxLength: 6 });

/** The spec with the margins of its classes in another order. */
function withClassOrder(spec: MarginSpec, order: readonly number[]): MarginSpec {
  const adaptive = spec.adaptive?.map((each) =>
    each.kind === 'class-margins' ? { ...each, margins: permuted(each.margins, order) } : each,
  );
  return { ...spec, ...(adaptive && { adaptive }) };
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});
afterAll(() => expect(tf.memory().numTensors).toBe(0));

const IMPLEMENTATIONS = [
  { name: 'the float64 reference', head: reference, epsilon: 1e-13 },
  { name: 'plain tfjs', head: tfjs, epsilon: 1e-6 },
];

describe.each(IMPLEMENTATIONS)('$name', ({ head, epsilon }) => {
  describe.each([...marginFamilyNames])('%s', (family) => {
    const problems = arbitraryProblem(family);

    it('has a finite loss above what its largest target and smallest negatives leave', () => {
      fc.assert(
        fc.property(problems, (problem) => {
          const { loss, dX, dW } = head(problem);
          expect([...Array.from(dX), ...Array.from(dW)].every(Number.isFinite)).toBe(true);
          const bounds = rulesOf(problem).map((rule) => {
            const angles = Array.from({ length: 501 }, (_, i) => (Math.PI * i) / 500);
            const largest = Math.max(...angles.map((a) => targetLogit(Math.cos(a), Math.sin(a), rule).logit));
            const smallest = Math.min(
              ...angles.flatMap((a) =>
                [-Infinity, Infinity].map((at) => negativeValue(Math.cos(a), at, rule.negatives).value),
              ),
            );
            // Between the angles of the grid.
            const between = (rule.scale * steepness(rule) * Math.PI) / 250;
            const gap = Math.log(problem.shape.classes - 1) + rule.scale * smallest - largest - between;
            return Math.max(gap, 0) + Math.log1p(Math.exp(-Math.abs(gap)));
          });
          const bound = bounds.reduce((sum, value) => sum + value, 0) / bounds.length;
          expect(loss).toBeGreaterThanOrEqual(bound - slack(problem, epsilon).loss);
          expect(loss).toBeLessThan(Infinity);
          if (problem.shape.classes === 1)
            expect([loss, maxDifference(dX, new Float32Array(dX.length))]).toEqual([0, 0]);
        }),
        RUNS,
      );
    });

    it('permutes its results with the batch', () => {
      fc.assert(
        fc.property(problems, keys, (problem, by) => {
          const { shape, embeddings, labels } = problem;
          const order = orderOf(shape.batch, by);
          const first = head(problem);
          const second = head({
            ...problem,
            embeddings: flat(permuted(rowsOf(embeddings, shape.dim), order)),
            labels: Int32Array.from(permuted([...labels], order)),
          });
          const bound = slack(problem, epsilon);
          expect(Math.abs(second.loss - first.loss)).toBeLessThanOrEqual(bound.loss);
          const expected = permuted(rowsOf(first.dX, shape.dim), order).flatMap((row) => [...row]);
          expect(maxDifference(second.dX, expected)).toBeLessThanOrEqual(bound.gradient / shortest(problem));
        }),
        RUNS,
      );
    });

    it('does not know the order of its classes', () => {
      fc.assert(
        fc.property(problems, keys, (problem, by) => {
          const { shape, centers, labels, spec } = problem;
          const order = orderOf(shape.classes, by);
          const size = shape.subCenters * shape.dim;
          const first = head(problem);
          const second = head({
            ...problem,
            centers: flat(permuted(rowsOf(centers, size), order)),
            labels: labels.map((label) => order.indexOf(label)),
            spec: withClassOrder(spec, order),
          });
          const bound = slack(problem, epsilon);
          expect(Math.abs(second.loss - first.loss)).toBeLessThanOrEqual(bound.loss);
          expect(maxDifference(second.dX, first.dX)).toBeLessThanOrEqual(bound.gradient / shortest(problem));
        }),
        RUNS,
      );
    });

    it('has gradients at right angles to what is normalised', () => {
      fc.assert(
        fc.property(problems, (problem) => {
          const { shape, embeddings, centers } = problem;
          const { dX, dW } = head(problem);
          const bound = slack(problem, epsilon).gradient;
          const inner = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, d) => sum + value * b[d]!, 0);
          const along = (gradient: ArrayLike<number>, points: Float32Array) => {
            const rows = rowsOf(points, shape.dim);
            // x·dL/dx has no unit of length.
            return Math.max(...rowsOf(gradient, shape.dim).map((row, r) => Math.abs(inner(row, rows[r]!))));
          };
          expect(along(dX, embeddings)).toBeLessThanOrEqual(bound);
          expect(along(dW, centers)).toBeLessThanOrEqual(bound);
        }),
        RUNS,
      );
    });

    it('does not change with the length of its embeddings, unless it follows it', () => {
      let checked = 0;
      fc.assert(
        fc.property(problems, number(-4, 4), (problem, power) => {
          if (needsNorms(problem.spec)) return;
          checked++;
          const factor = 2 ** power;
          const first = head(problem);
          const second = head({ ...problem, embeddings: problem.embeddings.map((value) => value * factor) });
          // The scaled embeddings are rounded to fp32.
          const bound = slack(problem, Math.max(epsilon, 1e-6));
          expect(Math.abs(second.loss - first.loss)).toBeLessThanOrEqual(bound.loss);
          const scaledBack = Array.from(second.dX, (value) => value * factor);
          expect(maxDifference(scaledBack, first.dX)).toBeLessThanOrEqual(bound.gradient / shortest(problem));
        }),
        RUNS,
      );
      expect(checked > 0).toBe(!['magface', 'adaface'].includes(family));
    });
  });
});

describe('plain tfjs gives what the float64 reference gives', () => {
  it.each([...marginFamilyNames])('%s', (family) => {
    fc.assert(
      fc.property(arbitraryProblem(family), (problem) => {
        const [expected, received] = [reference(problem), tfjs(problem)];
        const bound = slack(problem, 1e-6);
        const centers = Math.min(...rowsOf(problem.centers, problem.shape.dim).map((row) => Math.hypot(...row)));
        expect(Math.abs(received.loss - expected.loss)).toBeLessThanOrEqual(bound.loss + 1e-6 * expected.loss);
        expect(maxDifference(received.dX, expected.dX)).toBeLessThanOrEqual(bound.gradient / shortest(problem));
        expect(maxDifference(received.dW, expected.dW)).toBeLessThanOrEqual(bound.gradient / centers);
      }),
      RUNS,
    );
  });
});
