import type { ReferenceStep } from './forward.js';
import { negativeProbability } from './negatives.js';
import { ruleOf } from './problem.js';

/**
 * Gradient [B, 4] of the mean loss with respect to each sample's (s, m1, m2, m3), whether they are its own or the rule's
 * (docs/numerics.md, "Loss and gradients"). With a negative rule the first column is NaN, as in every implementation: the
 * engines' passes do not form Σ q·N(c).
 */
export function rowGradient(step: Omit<ReferenceStep, 'rowGradient' | 'embeddingGradient'>): Float64Array {
  const { batch } = step;
  const batchSize = batch.labels.length;
  const gradientB4 = new Float64Array(4 * batchSize);
  for (let i = 0; i < batchSize; i++) {
    const { scale, blend = 1, negatives: rule } = ruleOf(batch, i);
    // dT of loss = softplus(a − T): −(1 − p).
    const byTarget = -step.targetError[i];
    const { byM1, byM2 } = step.shards.map((shard) => shard.targets[i]).find((term) => term !== null)!;
    let byScale = byTarget * (step.targetLogits[i] / scale);
    // Without a rule a negative's logit is s·c, c of the operands.
    for (const negative of step.shards.flatMap((shard) => shard.negatives[i])) {
      byScale += negativeProbability(step, i, negative) * (negative.logit / scale);
    }
    const gradient = [rule ? NaN : byScale, byTarget * byM1, byTarget * byM2, -byTarget * scale * blend];
    gradientB4.set(
      gradient.map((value) => value / batchSize),
      4 * i,
    );
  }
  return gradientB4;
}
