import type { Negative, ReferenceBatch, ReferenceStep } from '../../dist/reference/index.js';
import { centerGradient, forward, negativeProbability, norm, ZERO_NORM } from '../../dist/reference/index.js';
import { expectRows, expectSame } from './compare.js';
import type { Problem } from './data.js';
import { shardOf } from './data.js';
import type { ContractBatch, ContractCenters, ForwardResult, Implementation, Subject } from './implementation.js';
import { storedCenters, toleranceOf } from './precision.js';

/** Runs `work` on centres in the implementation and disposes them. */
export function withCenters<Result>(
  implementation: Implementation,
  centers: ContractCenters,
  work: (subject: Subject) => Result,
): Result {
  const subject = implementation.create(centers);
  try {
    return work(subject);
  } finally {
    subject.dispose();
  }
}

export function referenceForward(centers: ContractCenters, batch: ContractBatch): ReferenceStep {
  return forward([centers], batch, [batch.sampled]);
}

const scaleOf = ({ rule, rowParameters }: ReferenceBatch, i: number) =>
  rowParameters ? rowParameters[4 * i] : rule.scale;

/** How long a negative's part of a gradient is, per unit of its probability. A rule may leave its logit without gradient. */
const weightOf = ({ batch }: ReferenceStep, i: number, { derivative }: Negative) =>
  Math.max(scaleOf(batch, i), Math.abs(derivative));

/** For each sample, what would be the length of dX if none of its parts cancelled: s·(1 − p)/(B·‖x‖) without a negative rule. */
function embeddingMagnitudes(step: ReferenceStep, dim: number): Float64Array {
  const { embeddings, labels } = step.batch;
  return Float64Array.from(labels, (_, i) => {
    const length = norm(Array.from({ length: dim }, (_, d) => embeddings[i * dim + d]));
    if (length < ZERO_NORM) return 0;
    const ofSample = step.shards.flatMap(({ negatives }) => negatives[i]);
    const magnitude = ofSample.reduce(
      (sum, one) => sum + weightOf(step, i, one) * negativeProbability(step, i, one),
      0,
    );
    return magnitude / (labels.length * length);
  });
}

/** The same for the rows of dW: every share of a sample's probability that went to the row, times s/(B·‖w‖). */
function centerMagnitudes(centers: ContractCenters, steps: readonly ReferenceStep[], shard: number): Float64Array {
  const { subCenters, dim, weights } = centers;
  const samples = steps.reduce((sum, step) => sum + step.batch.labels.length, 0);
  const magnitudes = new Float64Array(weights.length / dim);
  for (const step of steps) {
    const { negatives, targets } = step.shards[shard];
    targets.forEach((target, i) => {
      const targetRow = target && target.localClass * subCenters + target.winner;
      if (targetRow !== null) magnitudes[targetRow] += scaleOf(step.batch, i) * step.targetError[i];
      for (const one of negatives[i]) {
        const probability = negativeProbability(step, i, one);
        magnitudes[one.localClass * subCenters + one.winner] += weightOf(step, i, one) * probability;
      }
    });
  }
  return magnitudes.map((magnitude, r) => {
    const length = norm(weights.subarray(r * dim, (r + 1) * dim));
    return length < ZERO_NORM ? 0 : magnitude / (samples * length);
  });
}

/** [B, 4], column by column: each has its own size. */
function expectRowGradient(
  implementation: Implementation,
  actual: ArrayLike<number> | undefined,
  step: ReferenceStep,
): void {
  const { batch, targetError, targetLogits } = step;
  const samples = batch.labels.length;
  if (actual?.length !== 4 * samples) {
    throw new Error(`row gradient: expected ${4 * samples} numbers, received ${actual?.length}`);
  }
  ['s', 'm1', 'm2', 'm3'].forEach((name, n) => {
    const column = (rows: ArrayLike<number>) => Float64Array.from({ length: samples }, (_, i) => rows[4 * i + n]);
    if (name === 's' && batch.rule.negatives) {
      if (implementation.differentiatesScale) return;
      expectSame('row gradient by s with a negative rule', column(actual), new Float64Array(samples).fill(NaN));
      return;
    }
    // Before anything cancels: (1 − p)·(1 + |T/s|)/B of s, and (1 − p)·s/B of a margin.
    const rowMagnitudes = targetError.map((error, i) => {
      const scale = scaleOf(batch, i);
      return (error * (name === 's' ? 1 + Math.abs(targetLogits[i] / scale) : scale)) / samples;
    });
    const tolerance = { ...toleranceOf(implementation), rowMagnitudes };
    expectRows(`row gradient by ${name}`, column(actual), column(step.rowGradient), 1, tolerance);
  });
}

export function expectForward(
  implementation: Implementation,
  result: ForwardResult<unknown>,
  expected: ReferenceStep,
  dim: number,
): void {
  const tolerance = toleranceOf(implementation);
  expectRows('loss', result.sampleLoss, expected.sampleLoss, 1, tolerance);
  expectRows('target cosine', result.targetCosine, expected.targetCosine, 1, {
    relativeNorm: 1e-6,
    worstRow: 1e-5,
    // A cosine near 0 is a sum of parts that cancel; those parts together are no longer than 1.
    rowMagnitudes: expected.targetCosine.map(() => 1),
  });
  expectRows('dX', result.embeddingGradient, expected.embeddingGradient, dim, {
    ...tolerance,
    rowMagnitudes: embeddingMagnitudes(expected, dim),
  });
  if (implementation.hasRowGradient) expectRowGradient(implementation, result.rowGradient, expected);
}

export function expectCenterGradient(
  implementation: Implementation,
  actual: ArrayLike<number>,
  centers: ContractCenters,
  steps: readonly ReferenceStep[],
  shard = 0,
): void {
  expectRows('dW', actual, centerGradient(centers, steps, shard), centers.dim, {
    ...toleranceOf(implementation),
    rowMagnitudes: centerMagnitudes(centers, steps, shard),
  });
}

/** Loss, target cosine, dX, dW and row gradient of one problem against the reference; inputs and weights stay as they were. */
export function expectProblem(implementation: Implementation, { centers: given, batch }: Problem): void {
  const centers = storedCenters(implementation, given);
  const before = { embeddings: batch.embeddings.slice(), labels: batch.labels.slice() };
  withCenters(implementation, centers, (subject) => {
    const weights = Float64Array.from(subject.weights());
    const result = subject.forward(batch);
    const expected = referenceForward(centers, batch);
    expectForward(implementation, result, expected, centers.dim);
    expectCenterGradient(implementation, subject.gradients([result.step]), centers, [expected]);
    expectSame('weights after forward', Float64Array.from(subject.weights()), weights);
  });
  expectSame('embeddings after forward', batch.embeddings, before.embeddings);
  expectSame('labels after forward', batch.labels, before.labels);
}

/** The same of shards that begin at class 0 and at each of `cuts`: together they give what one owner of every class gives. */
export function expectShards(
  implementation: Implementation,
  { centers: given, batch }: Problem,
  cuts: readonly number[],
): void {
  const centers = storedCenters(implementation, given);
  const ends = [...cuts, centers.classes];
  const shards = ends.map((end, h) => shardOf(centers, ends[h - 1] ?? 0, end));
  const subjects = shards.map((shard) => implementation.create(shard));
  try {
    const result = implementation.forwardSharded!(subjects, batch);
    expectForward(implementation, result, referenceForward(centers, batch), centers.dim);
    const expected = forward(shards, batch);
    shards.forEach((shard, h) => {
      expectCenterGradient(implementation, subjects[h].gradients([result.step[h]]), shard, [expected], h);
    });
  } finally {
    for (const subject of subjects) subject.dispose();
  }
}
