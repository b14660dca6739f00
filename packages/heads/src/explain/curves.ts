import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import { targetLogit } from '@hyperarc/kernels-cuda/reference';

/** A margin over the angle θ between an embedding and its class centre, float64. */
export interface TargetCurve {
  /** What an adaptive margin is shown at, such as '‖x‖ = 110'; empty where there is nothing to say. */
  readonly condition: string;
  readonly rule: MarginRule;
  /** T/s at each angle [points]. */
  readonly logits: Float64Array;
  /** dT/dcosθ·sinθ/s as it is back-propagated [points]: −d(T/s)/dθ where `gradient` is 'exact'. Finite also at 0 and π. */
  readonly slopes: Float64Array;
}

/** T/s and its slope at one angle, radians in [0, π]. */
export function targetAt(rule: MarginRule, angle: number): { logit: number; slope: number } {
  const { logit, slope } = targetLogit(Math.cos(angle), Math.sin(angle), { ...rule, scale: 1 });
  return { logit, slope };
}

export function targetCurve(condition: string, rule: MarginRule, angles: Float64Array): TargetCurve {
  const points = Array.from(angles, (angle) => targetAt(rule, angle));
  return {
    condition,
    rule,
    logits: Float64Array.from(points, (point) => point.logit),
    slopes: Float64Array.from(points, (point) => point.slope),
  };
}
