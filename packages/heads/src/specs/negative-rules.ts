import type { NegativeBranch, NegativeRule } from '@hyperarc/kernels-cuda/margin';

/** N(c) = c. */
export const UNCHANGED: NegativeBranch = Object.freeze({ value: [0, 1, 0] as const, slope: [1, 0] as const });

/** CurricularFace, eq. 5: c·(t + c) for negatives beyond the sample's own target. */
export function curricularNegatives(t: number): NegativeRule {
  return { threshold: 'target', above: { value: [0, t, 1], slope: [t, 2] }, below: UNCHANGED };
}
