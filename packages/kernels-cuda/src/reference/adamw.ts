import type { Unsampled } from '../binding.js';
import { roundBf16Stochastic, secondMomentBits } from './bf16.js';
import { roundState } from './sgd.js';

export interface ReferenceAdamW {
  readonly learningRate: number;
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly unsampled: Unsampled;
}

/** Weights, first moment m (the buffer 'momentum') and second moment v, all [C, K, D]. */
export interface AdamWState<Numbers extends ArrayLike<number> = Float64Array> {
  readonly weights: Numbers;
  readonly momentum: Numbers;
  readonly secondMoment: Numbers;
}

/**
 * torch.optim.AdamW (Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2). Update t, one count for all rows:
 * w ← w·(1 − η·λ); m ← β₁·m + (1 − β₁)·dW; v ← β₂·v + (1 − β₂)·dW²; w ← w − η/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + ε).
 * Where `isDrawn(row)` is false and `unsampled` is 'frozen' nothing of the row changes; with 'decayed' it moves with dW = 0.
 *
 * @param dim columns of a row: D
 * @param t number of this update, from 1
 */
export function adamwUpdate(
  before: AdamWState<ArrayLike<number>>,
  gradientRD: ArrayLike<number>,
  dim: number,
  isDrawn: (row: number) => boolean,
  t: number,
  { learningRate, betas: [beta1, beta2], epsilon, weightDecay, unsampled }: ReferenceAdamW,
): AdamWState {
  const weights = Float64Array.from(before.weights);
  const momentum = Float64Array.from(before.momentum);
  const secondMoment = Float64Array.from(before.secondMoment);
  for (let e = 0; e < weights.length; e++) {
    const drawn = isDrawn(Math.floor(e / dim));
    if (unsampled === 'frozen' && !drawn) continue;
    const g = drawn ? gradientRD[e] : 0;
    momentum[e] = beta1 * momentum[e] + (1 - beta1) * g;
    secondMoment[e] = beta2 * secondMoment[e] + (1 - beta2) * g ** 2;
    const [first, second] = [momentum[e] / (1 - beta1 ** t), secondMoment[e] / (1 - beta2 ** t)];
    weights[e] = weights[e] * (1 - learningRate * weightDecay) - (learningRate * first) / (Math.sqrt(second) + epsilon);
  }
  return { weights, momentum, secondMoment };
}

/**
 * The state of a bf16 master after an update: all three rounded stochastically (docs/numerics.md, "Stochastic rounding").
 *
 * @param firstRow global row (class·K + k) of row 0
 */
export function roundAdamWState(state: AdamWState, dim: number, firstRow: number, roundingStep: bigint): AdamWState {
  const secondMoment = state.secondMoment.map((value, e) =>
    roundBf16Stochastic(value, secondMomentBits(firstRow + Math.floor(e / dim), e % dim, roundingStep)),
  );
  return { ...roundState(state, dim, firstRow, roundingStep), secondMoment };
}
