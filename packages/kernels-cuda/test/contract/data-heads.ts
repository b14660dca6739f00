import type { ReferenceRule, ReferenceStep } from '../../dist/reference/index.js';
import { norm, tangentPart, unit } from '../../dist/reference/index.js';
import type { Problem, Size } from './data.js';
import { normals, problem } from './data.js';
import { referenceForward } from './expectations.js';
import type { ContractBatch, Implementation } from './implementation.js';
import { storedCenters } from './precision.js';

/** What fp32 sums of products may be away from their exact values, with room to spare. */
const NEAR = 1e-5;
const ATTEMPTS = 50;

/**
 * Like `problem`, but the fourth of every four samples stands halfway between its centre and another class's: a negative about as near as
 * its target, above the threshold of every rule.
 */
export function hardProblem(seed: number, size: Size, rule: ReferenceRule): Problem {
  const { centers, batch } = problem(seed, size, rule);
  const { dim, subCenters = 1 } = size;
  const unitRow = (classIndex: number, d: number) => {
    const r = classIndex * subCenters;
    return centers.weights[r * dim + d] / Math.max(norm(centers.weights.subarray(r * dim, (r + 1) * dim)), 1e-6);
  };
  const embeddings = batch.embeddings.map((value, e) => {
    const [i, d] = [Math.floor(e / dim), e % dim];
    if (i % 4 !== 3) return value;
    const other = (batch.labels[i] + 1) % size.classes;
    return 2 * (unitRow(batch.labels[i], d) + 1.1 * unitRow(other, d)) + 0.2 * value;
  });
  return { centers, batch: { ...batch, embeddings } };
}

/**
 * The problem with one centre for each sample moved, of classes that are nobody's label: to a cosine of τ ± 0.01 with the sample, so that a
 * threshold which is a little off puts it on the other branch. Needs two classes a sample.
 */
export function aroundThresholds({ centers, batch }: Problem, seed: number): Problem {
  const { classes, subCenters, dim } = centers;
  const { targetThreshold } = referenceForward(centers, batch);
  const labels = new Set(batch.labels);
  const free = Array.from({ length: classes }, (_, j) => j).filter((j) => !labels.has(j));
  const weights = centers.weights.slice();
  const aside = normals(seed, batch.labels.length * dim);
  targetThreshold.forEach((threshold, i) => {
    const x = unit(batch.embeddings.subarray(i * dim, (i + 1) * dim));
    const tangent = unit(tangentPart(aside.subarray(i * dim, (i + 1) * dim), x));
    const cosine = Math.max(-0.999, Math.min(0.999, threshold + [0.01, -0.01, -0.01][i % 3]));
    const center = x.map((value, d) => cosine * value + Math.sqrt(1 - cosine ** 2) * tangent[d]);
    for (let k = 0; k < subCenters; k++) weights.set(center, (free[i] * subCenters + k) * dim);
  });
  return { centers: { ...centers, weights }, batch };
}

/** How far the cosine of every negative stands above (> 0) or below the threshold of its sample. */
export function distances({ batch, shards, targetThreshold }: ReferenceStep): number[] {
  const threshold = batch.rule.negatives?.threshold;
  if (threshold === undefined) return [];
  return shards.flatMap(({ negatives }) =>
    negatives.flatMap((ofSample, i) =>
      ofSample.map(({ cosine }) => cosine - (threshold === 'target' ? targetThreshold[i] : threshold)),
    ),
  );
}

/**
 * The problem of the first seed from `seed` on in which no cosine, of the operands that the implementation's products take, is so near to its
 * threshold that rounding decides the branch. A cosine exactly at it (of a zero vector) may be.
 *
 * @param batchesOf what will run of the problem
 */
export function separated(
  implementation: Implementation,
  seed: number,
  make: (seed: number) => Problem,
  batchesOf = ({ batch }: Problem): readonly ContractBatch[] => [batch],
): Problem {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const made = make(seed + 1000 * attempt);
    const centers = storedCenters(implementation, made.centers);
    const all = batchesOf(made).flatMap((batch) => distances(referenceForward(centers, batch)));
    if (all.every((distance) => distance === 0 || Math.abs(distance) > NEAR)) return made;
  }
  throw new Error(`no problem from seed ${seed} on keeps its cosines away from the thresholds`);
}

/** Throws unless some negatives stand above their threshold and some below. */
export function requireBothBranches(implementation: Implementation, { centers, batch }: Problem): void {
  const all = distances(referenceForward(storedCenters(implementation, centers), batch));
  const above = all.filter((distance) => distance > 0).length;
  if (above < 2 || all.length - above < 2) {
    throw new Error(
      `test data: ${above} of ${all.length} negatives above their threshold: expected both branches to occur`,
    );
  }
}
