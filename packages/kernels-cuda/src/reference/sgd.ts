import type { Unsampled } from '../binding.js';
import { roundBf16Stochastic, roundingBits } from './bf16.js';
import type { ReferenceStep } from './forward.js';

export interface ReferenceSgd {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly unsampled: Unsampled;
}

/** Weights and momentum, both [C, K, D]. */
export interface SgdState {
  readonly weights: Float64Array;
  readonly momentum: Float64Array;
}

/**
 * v ← μ·v + (dW + λ·w); w ← w − η·v (PyTorch's SGD). Where `isDrawn(row)` is false and `unsampled` is 'frozen' neither v
 * nor w of the row changes; with 'decayed' such a row moves by its momentum and weight decay.
 *
 * @param dim columns of a row: D
 */
export function sgdUpdate(
  weightsRD: ArrayLike<number>,
  momentumRD: ArrayLike<number>,
  gradientRD: ArrayLike<number>,
  dim: number,
  isDrawn: (row: number) => boolean,
  options: ReferenceSgd,
): SgdState {
  const weights = Float64Array.from(weightsRD);
  const momentum = Float64Array.from(momentumRD);
  for (let e = 0; e < weights.length; e++) {
    if (options.unsampled === 'frozen' && !isDrawn(Math.floor(e / dim))) continue;
    momentum[e] = options.momentum * momentum[e] + gradientRD[e] + options.weightDecay * weights[e];
    weights[e] -= options.learningRate * momentum[e];
  }
  return { weights, momentum };
}

/**
 * Weights and momentum of a bf16 master after an update: both rounded stochastically from fp32 (docs/numerics.md, "Stochastic
 * rounding"). What is bf16 already, like a row that was not drawn, stays as it is.
 *
 * @param firstRow global row (class·K + k) of row 0
 */
export function roundState(state: SgdState, dim: number, firstRow: number, roundingStep: bigint): SgdState {
  const weights = new Float64Array(state.weights.length);
  const momentum = new Float64Array(state.weights.length);
  for (let e = 0; e < weights.length; e++) {
    const random = roundingBits(firstRow + Math.floor(e / dim), e % dim, roundingStep);
    weights[e] = roundBf16Stochastic(state.weights[e], random.weight);
    momentum[e] = roundBf16Stochastic(state.momentum[e], random.momentum);
  }
  return { weights, momentum };
}

/** Whether row r of a shard took part in any of `steps`: the rows of every class that one of them drew. */
export function drawnRows(
  steps: readonly ReferenceStep[],
  subCenters: number,
  shardIndex = 0,
): (row: number) => boolean {
  const lists = steps.map((step) => step.shards[shardIndex].sampled);
  if (lists.includes(undefined)) return () => true;
  const drawn = new Set(lists.flatMap((list) => Array.from(list!)));
  return (row) => drawn.has(Math.floor(row / subCenters));
}
