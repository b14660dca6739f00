import type { ReferenceStep } from './forward.js';
import { negativeProbability } from './negatives.js';
import { operandCenters } from './operands.js';
import type { ReferenceCenters } from './problem.js';
import { ruleOf, unitEmbeddings } from './problem.js';
import { dot } from './vectors.js';

/**
 * Gradient [B, 4] of the mean loss with respect to each sample's (s, m1, m2, m3), whether they are its own or the rule's
 * (docs/numerics.md, "Loss and gradients"). With a negative rule the first column is NaN, as in every implementation: the
 * engines' passes do not form Σ q·N(c).
 */
export function rowGradient(
  shards: readonly ReferenceCenters[],
  step: Omit<ReferenceStep, 'rowGradient' | 'embeddingGradient'>,
): Float64Array {
  const { batch } = step;
  const batchSize = batch.labels.length;
  const operandVectors = shards.map(operandCenters);
  const gradientB4 = new Float64Array(4 * batchSize);
  unitEmbeddings(batch, shards[0].dim).forEach((x, i) => {
    const { scale, blend = 1, negatives: rule } = ruleOf(batch, i);
    // dT of loss = softplus(a − T): −(1 − p).
    const byTarget = -step.targetError[i];
    const { byM1, byM2 } = step.shards.map((shard) => shard.targets[i]).find((term) => term !== null)!;
    let byScale = byTarget * (step.targetLogits[i] / scale);
    step.shards.forEach((shard, h) => {
      for (const negative of shard.negatives[i]) {
        const w = operandVectors[h][negative.localClass][negative.winner];
        byScale += negativeProbability(step, i, negative) * dot(x, w);
      }
    });
    const gradient = [rule ? NaN : byScale, byTarget * byM1, byTarget * byM2, -byTarget * scale * blend];
    gradientB4.set(
      gradient.map((value) => value / batchSize),
      4 * i,
    );
  });
  return gradientB4;
}
