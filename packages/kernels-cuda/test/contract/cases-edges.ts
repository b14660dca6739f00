import { expectRows, expectSame } from './compare.js';
import type { Problem, Size } from './data.js';
import { ARCFACE, partOf, problem } from './data.js';
import {
  expectCenterGradient,
  expectForward,
  expectProblem,
  expectShards,
  referenceForward,
  withCenters,
} from './expectations.js';
import { cosines } from '../../dist/reference/index.js';
import type { ContractBatch, Implementation } from './implementation.js';
import { storedCenters, toleranceOf } from './precision.js';
import type { ContractCase } from './suite.js';

const SIZE = { batch: 11, classes: 21, dim: 19 };

/** Every embedding a multiple of its own centre. */
function withEmbeddingsOnCenters(implementation: Implementation, factor: number, scale: number): Problem {
  const { centers: given, batch } = problem(31, SIZE, { ...ARCFACE, scale });
  const centers = storedCenters(implementation, given);
  const { dim } = centers;
  const embeddings = batch.embeddings.map((_, e) => {
    const label = batch.labels[Math.floor(e / dim)];
    return factor * centers.weights[label * dim + (e % dim)];
  });
  return { centers, batch: { ...batch, embeddings } };
}

/** Centres in a narrow cone and every embedding opposite to it: every cosine near −1, where e^(s·c − s) is nothing in fp32. */
function withEverythingOpposite(scale: number): Problem {
  const { centers, batch } = problem(32, SIZE, { ...ARCFACE, scale, m2: 0 });
  const inCone = (values: Float32Array, axis: number) =>
    values.map((value, e) => (e % SIZE.dim === 0 ? axis : 0.01 * Math.tanh(value)));
  return {
    centers: { ...centers, weights: inCone(centers.weights, 1) },
    batch: { ...batch, embeddings: inCone(batch.embeddings, -2) },
  };
}

function permuted(values: ArrayLike<number>, columns: number, order: readonly number[]): Float32Array {
  return Float32Array.from(order.flatMap((r) => Array.from({ length: columns }, (_, d) => values[r * columns + d])));
}

const stride = (count: number, step: number) => Array.from({ length: count }, (_, i) => (i * step + 3) % count);

const pointCases: ContractCase[] = [
  ...[3, -4].flatMap((factor) =>
    [4, 64].map((scale) => ({
      group: 'edges',
      name: `c = ${Math.sign(factor)} exactly, scale ${scale}`,
      run: (implementation: Implementation) =>
        expectProblem(implementation, withEmbeddingsOnCenters(implementation, factor, scale)),
    })),
  ),
  ...[64, 200, 1024].map((scale) => ({
    group: 'edges',
    name: `every cosine near −1, scale ${scale}`,
    run: (implementation: Implementation) => {
      const { centers: given, batch } = withEverythingOpposite(scale);
      const centers = storedCenters(implementation, given);
      withCenters(implementation, centers, (subject) => {
        const result = subject.forward(batch);
        // A logit of size s carries s·2⁻²⁴ of rounding into a loss that is a difference of two such logits.
        const loss = { relativeNorm: 1e-4, worstRow: 1e-3 };
        expectRows('loss', result.sampleLoss, referenceForward(centers, batch).sampleLoss, 1, loss);
        const numbers = [...Array.from(result.embeddingGradient), ...Array.from(subject.gradients([result.step]))];
        if (!numbers.every(Number.isFinite)) throw new Error('gradients: expected finite numbers');
        if (numbers.every((value) => value === 0)) throw new Error('gradients: expected the negatives to count');
      });
    },
  })),
  {
    group: 'edges',
    name: 'zero embeddings and zero centres',
    run: (implementation) => {
      const { centers, batch } = problem(33, SIZE);
      batch.embeddings.fill(0, 2 * SIZE.dim, 4 * SIZE.dim);
      for (const j of [batch.labels[0], batch.labels[3], 20]) {
        centers.weights.fill(0, j * SIZE.dim, (j + 1) * SIZE.dim);
      }
      expectProblem(implementation, { centers, batch });
    },
  },
  {
    group: 'edges',
    name: 'lengths from 1e-6 to 1e6',
    run: (implementation) => {
      const { centers, batch } = problem(34, SIZE);
      const factor = (e: number) => 10 ** ((Math.floor(e / SIZE.dim) % 13) - 6);
      // Rows of very different lengths have gradients of very different lengths: one sample and its class at a time.
      for (const exponent of [-6, 0, 6]) {
        const embeddings = batch.embeddings.map((value) => value * 10 ** exponent);
        expectProblem(implementation, { centers, batch: { ...batch, embeddings } });
      }
      const weights = centers.weights.map((value, e) => value * factor(e));
      const stored = storedCenters(implementation, { ...centers, weights });
      withCenters(implementation, stored, (subject) => {
        expectForward(implementation, subject.forward(batch), referenceForward(stored, batch), SIZE.dim);
      });
    },
  },
  {
    group: 'edges',
    name: 'one class a sample, and all samples of one class',
    run: (implementation) => {
      const { centers, batch } = problem(35, SIZE);
      expectProblem(implementation, { centers, batch: { ...batch, labels: batch.labels.map((_, i) => i) } });
      expectProblem(implementation, { centers, batch: { ...batch, labels: batch.labels.map(() => 20) } });
    },
  },
  {
    group: 'edges',
    name: 'cosines of every pair',
    run: (implementation) => {
      for (const subCenters of implementation.maxSubCenters > 1 ? [1, 3] : [1]) {
        const { centers: given, batch } = problem(36, { ...SIZE, subCenters });
        const centers = storedCenters(implementation, given);
        batch.embeddings.fill(0, 0, SIZE.dim);
        withCenters(implementation, centers, (subject) => {
          if (!subject.cosines) return;
          const actual = subject.cosines(batch.embeddings);
          const tolerance = { relativeNorm: 1e-6, worstRow: 1e-6 };
          expectRows('cosines', actual, cosines(centers, batch.embeddings), SIZE.classes, tolerance);
        });
      }
    },
  },
];

const invarianceCases: ContractCase[] = [
  {
    group: 'invariances',
    name: 'nothing is read around the inputs: poison beside them changes no bit',
    run: (implementation) => {
      const { centers: given, batch } = problem(40, SIZE);
      const centers = storedCenters(implementation, given);
      const embeddings = new Float32Array(batch.embeddings.length + 64).fill(NaN);
      const labels = new Int32Array(batch.labels.length + 64).fill(2 ** 31 - 1);
      embeddings.set(batch.embeddings, 32);
      labels.set(batch.labels, 32);
      const poisoned: ContractBatch = {
        ...batch,
        embeddings: embeddings.subarray(32, 32 + batch.embeddings.length),
        labels: labels.subarray(32, 32 + batch.labels.length),
      };
      withCenters(implementation, centers, (subject) => {
        const [plain, beside] = [subject.forward(batch), subject.forward(poisoned)];
        expectSame('loss', Array.from(beside.sampleLoss), Array.from(plain.sampleLoss));
        expectSame('dX', Array.from(beside.embeddingGradient), Array.from(plain.embeddingGradient));
        const gradient = Array.from(subject.gradients([plain.step]));
        expectSame('dW', Array.from(subject.gradients([beside.step])), gradient);
      });
    },
  },
  {
    group: 'invariances',
    name: 'the same call twice gives the same bits',
    run: (implementation) => {
      const { centers: given, batch } = problem(41, { batch: 37, classes: 129, dim: 40 });
      const centers = storedCenters(implementation, given);
      withCenters(implementation, centers, (subject) => {
        const [first, second] = [subject.forward(batch), subject.forward(batch)];
        expectSame('loss', Array.from(first.sampleLoss), Array.from(second.sampleLoss));
        expectSame('dX', Array.from(first.embeddingGradient), Array.from(second.embeddingGradient));
        const gradient = Array.from(subject.gradients([first.step]));
        expectSame('dW', gradient, Array.from(subject.gradients([second.step])));
      });
    },
  },
  {
    group: 'invariances',
    name: 'the order of the samples does not matter',
    run: (implementation) => {
      const { centers: given, batch } = problem(42, SIZE);
      const centers = storedCenters(implementation, given);
      const tolerance = toleranceOf(implementation);
      const order = stride(SIZE.batch, 4);
      const moved: ContractBatch = {
        ...batch,
        embeddings: permuted(batch.embeddings, SIZE.dim, order),
        labels: Int32Array.from(order, (i) => batch.labels[i]),
      };
      withCenters(implementation, centers, (subject) => {
        const [plain, reordered] = [subject.forward(batch), subject.forward(moved)];
        expectRows('loss', reordered.sampleLoss, permuted(plain.sampleLoss, 1, order), 1, tolerance);
        const dX = permuted(plain.embeddingGradient, SIZE.dim, order);
        expectRows('dX', reordered.embeddingGradient, dX, SIZE.dim, tolerance);
        const dW = subject.gradients([plain.step]);
        expectRows('dW', subject.gradients([reordered.step]), dW, SIZE.dim, tolerance);
      });
    },
  },
  {
    group: 'invariances',
    name: 'the order of the classes does not matter',
    run: (implementation) => {
      const { centers: given, batch } = problem(43, SIZE);
      const centers = storedCenters(implementation, given);
      const tolerance = toleranceOf(implementation);
      const order = stride(SIZE.classes, 5);
      const moved = { ...centers, weights: permuted(centers.weights, SIZE.dim, order) };
      const labels = batch.labels.map((label) => order.indexOf(label));
      withCenters(implementation, centers, (plain) =>
        withCenters(implementation, moved, (reordered) => {
          const [a, b] = [plain.forward(batch), reordered.forward({ ...batch, labels })];
          expectRows('loss', b.sampleLoss, a.sampleLoss, 1, tolerance);
          const expected = permuted(plain.gradients([a.step]), SIZE.dim, order);
          expectRows('dW', reordered.gradients([b.step]), expected, SIZE.dim, tolerance);
        }),
      );
    },
  },
];

const accumulationCase: ContractCase = {
  group: 'accumulation',
  name: 'three unequal micro-batches have the gradient of one large batch',
  run: (implementation) => {
    const { centers: given, batch } = problem(51, { batch: 19, classes: 23, dim: 17 });
    const centers = storedCenters(implementation, given);
    const parts = [partOf(batch, 17, 0, 1), partOf(batch, 17, 1, 10), partOf(batch, 17, 10, 19)];
    withCenters(implementation, centers, (subject) => {
      const steps = parts.map((part) => subject.forward(part).step);
      expectCenterGradient(implementation, subject.gradients(steps), centers, [referenceForward(centers, batch)]);
      const whole = subject.gradients([subject.forward(batch).step]);
      expectRows('dW', whole, subject.gradients(steps), 17, toleranceOf(implementation));
    });
  },
};

function shardCase(cuts: readonly number[], subCenters: number): ContractCase {
  const size: Size = { batch: 12, classes: 29, dim: 18, subCenters };
  return {
    group: 'shards',
    name: `cut at ${cuts.join(', ')}, K ${subCenters}: together as one`,
    run: (implementation) => expectShards(implementation, problem(52, size), cuts),
  };
}

/** Points of the domain where formulas meet, and transformations that must not matter. */
export function edgeCases(implementation: Implementation): ContractCase[] {
  const shardCases = [shardCase([13], 1), shardCase([1, 20], 1), shardCase([9], 3)];
  return [...pointCases, ...invarianceCases, accumulationCase, ...(implementation.hasShards ? shardCases : [])];
}
