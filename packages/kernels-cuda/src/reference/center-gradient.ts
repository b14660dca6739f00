import type { ReferenceStep } from './forward.js';
import { negativeProbability } from './negatives.js';
import { operandEmbeddings } from './operands.js';
import type { ReferenceCenters } from './problem.js';
import { unitCenters, unitEmbeddings } from './problem.js';
import { addScaled, norm, row, tangentPart, ZERO_NORM } from './vectors.js';

/**
 * dW [C, K, D] of shard `shardIndex`: the gradient of the mean loss over all samples of all `steps`, so that accumulating
 * micro-batches equals one large batch (docs/numerics.md, "Loss and gradients").
 */
export function centerGradient(
  centers: ReferenceCenters,
  steps: readonly ReferenceStep[],
  shardIndex = 0,
): Float64Array {
  const { subCenters, dim } = centers;
  const samples = steps.reduce((sum, step) => sum + step.batch.labels.length, 0);
  // First the gradient with respect to the unit centres, then through the normalisation.
  const toUnit = Array.from({ length: centers.classes * subCenters }, () => new Float64Array(dim));
  for (const step of steps) {
    const shard = step.shards[shardIndex];
    const operandVectors = operandEmbeddings(centers, step.batch);
    unitEmbeddings(step.batch, dim).forEach((x, i) => {
      for (const negative of shard.negatives[i]) {
        const factor = negativeProbability(step, i, negative) * negative.derivative;
        addScaled(toUnit[negative.localClass * subCenters + negative.winner], factor, operandVectors[i]);
      }
      const target = shard.targets[i];
      if (!target) return;
      addScaled(toUnit[target.localClass * subCenters + target.winner], -step.targetError[i] * target.derivative, x);
    });
  }
  const gradientRD = new Float64Array(toUnit.length * dim);
  const unitRows = unitCenters(centers).flat();
  toUnit.forEach((total, r) => {
    const length = norm(row(centers.weights, r, dim));
    if (length < ZERO_NORM) return;
    const gradient = tangentPart(total, unitRows[r]).map((value) => value / (length * samples));
    gradientRD.set(gradient, r * dim);
  });
  return gradientRD;
}
