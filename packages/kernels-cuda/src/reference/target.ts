import { classCosine } from './cosine.js';
import { targetLogit, targetThreshold } from './margin.js';
import type { ReferenceBatch, ReferenceCenters } from './problem.js';
import { localLabel, ruleOf, unitCenters, unitEmbeddings } from './problem.js';
import { addScaled, norm } from './vectors.js';

/** Below this sine the direction from x̂ to ŵ is rounding noise of fp32 data, and the target's share of gradients is 0. */
export const NOISE_SINE = 1e-6;

/** What the target class contributes to one sample. */
export interface TargetTerm {
  /** Local class and sub-centre. */
  readonly localClass: number;
  readonly winner: number;
  /** c = x̂·ŵ_y */
  readonly cosine: number;
  /** T */
  readonly logit: number;
  /** dT/dc */
  readonly derivative: number;
  /** dT/dm1 */
  readonly byM1: number;
  /** dT/dm2 */
  readonly byM2: number;
  /** τ: what the cosines of negatives are compared with where the rule's threshold is 'target'. */
  readonly threshold: number;
}

/**
 * Target terms of the samples whose class `centers` owns; null for the others.
 * A zero embedding or centre stands at θ = π/2 from everything, and its logit does not move with either.
 */
export function targetTerms(centers: ReferenceCenters, batch: ReferenceBatch): (TargetTerm | null)[] {
  const centerVectors = unitCenters(centers);
  return unitEmbeddings(batch, centers.dim).map((x, i) => {
    const localClass = localLabel(centers, batch.labels[i]);
    if (localClass < 0) return null;
    const { cosine, winner } = classCosine(x, centerVectors[localClass]);
    const w = centerVectors[localClass][winner];
    const isZero = norm(x) === 0 || norm(w) === 0;
    const tangent = w.slice();
    addScaled(tangent, -cosine, x);
    const sine = isZero ? 1 : norm(tangent);
    const rule = ruleOf(batch, i);
    const { logit, slope, byM1, byM2 } = targetLogit(cosine, sine, rule);
    const derivative = isZero || sine < NOISE_SINE ? 0 : slope / sine;
    return {
      localClass,
      winner,
      cosine,
      logit,
      derivative,
      byM1,
      byM2,
      threshold: targetThreshold(cosine, sine, rule),
    };
  });
}
