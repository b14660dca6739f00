import type { MarginRule, NegativeBranch } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';

/** What cosines of negatives [B, C] become. */
export interface NegativeTerms {
  /** N(c) [B, C] */
  readonly values: tf.Tensor2D;
  /** dN/dc as it is back-propagated [B, C]; null where it is 1 everywhere. */
  readonly slopes: tf.Tensor2D | null;
}

function branchOf({ value, slope }: NegativeBranch, cosines: tf.Tensor2D): { values: tf.Tensor; slopes: tf.Tensor } {
  const curved = tf.add(tf.mul(cosines, value[2]), value[1]);
  return {
    values: tf.add(tf.mul(curved, cosines), value[0]),
    slopes: tf.add(tf.mul(cosines, slope[1]), slope[0]),
  };
}

/**
 * N(c) of the rule's negatives (docs/numerics.md, "Negatives").
 * @param targetThresholds gives A(θ) − m3 of each sample [B, 1]; called only where the rule compares with it
 */
export function negativeTerms(
  cosines: tf.Tensor2D,
  { negatives }: MarginRule,
  targetThresholds: () => tf.Tensor,
): NegativeTerms {
  if (!negatives) return { values: cosines, slopes: null };
  const { threshold } = negatives;
  const isAbove = tf.greater(cosines, threshold === 'target' ? targetThresholds() : threshold);
  const above = branchOf(negatives.above, cosines);
  const below = branchOf(negatives.below, cosines);
  return {
    values: tf.where(isAbove, above.values, below.values) as tf.Tensor2D,
    slopes: tf.where(isAbove, above.slopes, below.slopes) as tf.Tensor2D,
  };
}
