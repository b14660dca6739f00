import type { ReferenceStep } from '../../dist/reference/index.js';
import { centerGradient, forward, norm, ZERO_NORM } from '../../dist/reference/index.js';
import { expectRows, expectSame } from './compare.js';
import type { Problem } from './data.js';
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

/** For each sample, what would be the length of dX if none of its parts cancelled: s·(1 − p)/(B·‖x‖). */
function embeddingMagnitudes(step: ReferenceStep, dim: number): Float64Array {
  const { embeddings, labels, rule, rowParameters } = step.batch;
  return Float64Array.from(labels, (_, i) => {
    const scale = rowParameters ? rowParameters[4 * i] : rule.scale;
    const length = norm(Array.from({ length: dim }, (_, d) => embeddings[i * dim + d]));
    return length < ZERO_NORM ? 0 : (scale * step.targetError[i]) / (labels.length * length);
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
      const scale = step.batch.rowParameters ? step.batch.rowParameters[4 * i] : step.batch.rule.scale;
      const error = step.targetError[i];
      if (target) magnitudes[target.localClass * subCenters + target.winner] += scale * error;
      for (const { localClass, winner, logit } of negatives[i]) {
        const probability = Math.exp(logit - step.negativeLogSum[i]) * error;
        magnitudes[localClass * subCenters + winner] += scale * probability;
      }
    });
  }
  return magnitudes.map((magnitude, r) => {
    const length = norm(weights.subarray(r * dim, (r + 1) * dim));
    return length < ZERO_NORM ? 0 : magnitude / (samples * length);
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

/** Loss, target cosine, dX and dW of one problem against the reference; inputs and weights stay as they were. */
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
