import type { Axes } from './cases.js';

/** One batch of a head. */
export interface Batch {
  /** [B, D], standard normal */
  embeddingsBD: Float32Array;
  /** [B] in [0, C) */
  labelsB: Int32Array;
}

/**
 * Different batches to take in turn, so that no iteration finds the last one's data in the cache or a branch predictor trained on it, and never zeros,
 * which are quick to multiply on some processors. Lehmer's generator and Box–Muller: the data need not be good, only not special.
 */
export function makeBatches({ B, C, D }: Pick<Axes, 'B' | 'C' | 'D'>, count: number): Batch[] {
  let state = 20_240_229;
  const uniform = () => (state = (state * 48_271) % 0x7fff_ffff) / 0x7fff_ffff;
  const fill = <T extends Float32Array | Int32Array>(values: T, next: () => number): T => {
    // Filled in place: garbage made here would count as resident before the centres are made, and hide what they take.
    for (let i = 0; i < values.length; i++) values[i] = next();
    return values;
  };
  return Array.from({ length: count }, () => ({
    embeddingsBD: fill(
      new Float32Array(B * D),
      () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
    ),
    labelsB: fill(new Int32Array(B), () => Math.floor(uniform() * C)),
  }));
}
