import type { NegativeRule } from '../margin.js';
import { classCosine } from './cosine.js';
import { operandCenters, operandEmbeddings } from './operands.js';
import type { ReferenceBatch, ReferenceCenters } from './problem.js';
import { localLabel, ruleOf } from './problem.js';

/** One class that takes part in the softmax of one sample without being its target. */
export interface Negative {
  readonly localClass: number;
  readonly winner: number;
  /** c_ij, of the winner */
  readonly cosine: number;
  /** s·N(c_ij) */
  readonly logit: number;
  /** ds·N(c)/dc as it is back-propagated: s·N'(c_ij) */
  readonly derivative: number;
}

/** N(c), and dN/dc as it is back-propagated. */
export interface NegativeValue {
  readonly value: number;
  readonly slope: number;
}

/**
 * What the cosine c of a negative becomes: c itself without a rule (docs/numerics.md, "Negatives").
 *
 * @param targetThreshold τ of the sample, for a rule whose threshold is 'target'.
 */
export function negativeValue(c: number, targetThreshold: number, rule: NegativeRule | undefined): NegativeValue {
  if (!rule) return { value: c, slope: 1 };
  const threshold = rule.threshold === 'target' ? targetThreshold : rule.threshold;
  const { value, slope } = c > threshold ? rule.above : rule.below;
  return { value: value[0] + value[1] * c + value[2] * c ** 2, slope: slope[0] + slope[1] * c };
}

/**
 * The negatives of every sample: the classes that take part (`sampled`, local indices; all if undefined) less its own.
 *
 * @param targetThresholds τ_i [B]
 */
export function negatives(
  centers: ReferenceCenters,
  batch: ReferenceBatch,
  sampled: ArrayLike<number> | undefined,
  targetThresholds: ArrayLike<number>,
): Negative[][] {
  const centerVectors = operandCenters(centers);
  const takingPart = sampled ? Array.from(sampled) : centerVectors.map((_, j) => j);
  return operandEmbeddings(centers, batch).map((x, i) => {
    const { scale, negatives: rule } = ruleOf(batch, i);
    const own = localLabel(centers, batch.labels[i]);
    return takingPart
      .filter((j) => j !== own)
      .map((j) => {
        const { cosine, winner } = classCosine(x, centerVectors[j]);
        const { value, slope } = negativeValue(cosine, targetThresholds[i], rule);
        return { localClass: j, winner, cosine, logit: scale * value, derivative: scale * slope };
      });
  });
}

/** ln Σ e^v, around the largest; −∞ for none. */
export function logSumExp(values: readonly number[]): number {
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (largest === -Infinity) return -Infinity;
  return largest + Math.log(values.reduce((sum, v) => sum + Math.exp(v - largest), 0));
}

/** The softmax probability of a negative of sample i: e^(s·N(c) − a)·(1 − p). */
export function negativeProbability(
  step: { readonly negativeLogSum: Float64Array; readonly targetError: Float64Array },
  i: number,
  negative: Negative,
): number {
  return Math.exp(negative.logit - step.negativeLogSum[i]) * step.targetError[i];
}
