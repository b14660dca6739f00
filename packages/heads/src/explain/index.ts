import { checkPositiveInteger } from '../checks.js';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { checkMarginSpec } from '../specs/check-spec.js';
import type { MarginSpec } from '../specs/spec.js';
import { decisionBoundary } from './boundary.js';
import { conditionsOf } from './conditions.js';
import { targetCurve, type TargetCurve } from './curves.js';

export { type TargetCurve } from './curves.js';

/** What a margin does, in numbers: float64, unscaled. */
export interface Explanation {
  /** The margin's own, or the one asked for. */
  readonly name: string;
  /** Radians from 0 to π [points]. */
  readonly angles: Float64Array;
  /** One, or for an adaptive margin one for each end (and middle) of what it moves between. */
  readonly curves: readonly TargetCurve[];
  /**
   * For each curve the decision boundary of two classes [points]: at angle θ1 = angles[p] to its own centre a sample counts as its class's in
   * training while its angle θ2 to the other centre is at least this, radians; NaN where none is enough. θ2 = θ1 without a margin.
   */
  readonly boundaries: readonly Float64Array[];
}

/**
 * Target logit and gradient of a margin against the angle θ between embedding and centre, and its decision boundary between two
 * classes: the curves of Deng et al., "ArcFace", CVPR 2019, figures 3 and 5. `plotHeads` of '@hyperarc/heads/plot' draws them.
 * @param options `points` ≥ 2, evenly from 0 to π; default 181, a point a degree. `name` in place of the margin's own, to tell apart two of
 * one family.
 * @throws HyperArcError E_RANGE.
 */
export function explain(
  spec: MarginSpec,
  { points = 181, name }: { readonly points?: number; readonly name?: string } = {},
): Explanation {
  checkMarginSpec(spec);
  checkPositiveInteger('points', points);
  if (points < 2) throw new HyperArcError('E_RANGE', `points: expected an integer ≥ 2, received ${points}`);
  const angles = Float64Array.from({ length: points }, (_, p) => (Math.PI * p) / (points - 1));
  const conditions = conditionsOf(spec);
  return {
    name: name ?? spec.name,
    angles,
    curves: conditions.map(({ condition, rule }) => targetCurve(condition, rule, angles)),
    boundaries: conditions.map(({ rule }) => decisionBoundary(rule, angles)),
  };
}
