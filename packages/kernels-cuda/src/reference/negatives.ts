import { classCosine } from './cosine.js';
import { operandCenters, operandEmbeddings } from './operands.js';
import type { ReferenceBatch, ReferenceCenters } from './problem.js';
import { localLabel, ruleOf } from './problem.js';

/** One class that takes part in the softmax of one sample without being its target. */
export interface Negative {
  readonly localClass: number;
  readonly winner: number;
  /** s·c_ij */
  readonly logit: number;
}

/** The negatives of every sample: the classes that take part (`sampled`, local indices; all if undefined) less its own. */
export function negatives(
  centers: ReferenceCenters,
  batch: ReferenceBatch,
  sampled: ArrayLike<number> | undefined,
): Negative[][] {
  const centerVectors = operandCenters(centers);
  const takingPart = sampled ? Array.from(sampled) : centerVectors.map((_, j) => j);
  return operandEmbeddings(centers, batch).map((x, i) => {
    const { scale } = ruleOf(batch, i);
    const own = localLabel(centers, batch.labels[i]);
    return takingPart
      .filter((j) => j !== own)
      .map((j) => {
        const { cosine, winner } = classCosine(x, centerVectors[j]);
        return { localClass: j, winner, logit: scale * cosine };
      });
  });
}

/** ln Σ e^v, around the largest; −∞ for none. */
export function logSumExp(values: readonly number[]): number {
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (largest === -Infinity) return -Infinity;
  return largest + Math.log(values.reduce((sum, v) => sum + Math.exp(v - largest), 0));
}
