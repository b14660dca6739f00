import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import { targetAt } from './curves.js';

/** What a cosine with another class becomes, N(c), for a sample at `ownAngle` from its own centre. */
export function negativeAt(rule: MarginRule, ownAngle: number, cosine: number): number {
  const { negatives } = rule;
  if (!negatives) return cosine;
  // The sample's own threshold is its target without fallback and blend.
  const own = () => targetAt({ ...rule, fallback: 'none', blend: 1 }, ownAngle).logit;
  const threshold = negatives.threshold === 'target' ? own() : negatives.threshold;
  const [a, b, c] = (cosine > threshold ? negatives.above : negatives.below).value;
  return a + cosine * (b + cosine * c);
}

const SCAN = 720;
const BISECTIONS = 50;

/**
 * Decision boundary of the first of two classes: for each angle θ1 to its centre the smallest angle θ2 to the other's, beyond
 * which the sample counts as the first's in training, T(θ1) ≥ s·N(cosθ2) [points]. NaN where no θ2 in [0, π] is enough.
 * Deng et al., "ArcFace", CVPR 2019, figure 5: without a margin the boundary is θ2 = θ1.
 */
export function decisionBoundary(rule: MarginRule, ownAngles: Float64Array): Float64Array {
  return ownAngles.map((ownAngle) => {
    const target = targetAt(rule, ownAngle).logit;
    const isOver = (angle: number) => negativeAt(rule, ownAngle, Math.cos(angle)) > target + 1e-15;
    if (isOver(Math.PI)) return Number.NaN;
    // The last angle of a fine scan where the other class still wins, then the crossing behind it.
    let last = SCAN;
    while (last >= 0 && !isOver((last * Math.PI) / SCAN)) last--;
    if (last < 0) return 0;
    let [low, high] = [(last * Math.PI) / SCAN, ((last + 1) * Math.PI) / SCAN];
    for (let i = 0; i < BISECTIONS; i++) {
      const middle = (low + high) / 2;
      if (isOver(middle)) low = middle;
      else high = middle;
    }
    return high;
  });
}
