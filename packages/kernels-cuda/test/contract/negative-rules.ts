import type { NegativeBranch, NegativeRule } from '../../dist/margin.js';

/** N(c) = c. */
const PLAIN: NegativeBranch = { value: [0, 1, 0], slope: [1, 0] };

/** Negatives harder than their sample's target become c·(t + c): CurricularFace, Huang et al., CVPR 2020, eq. 5 to 7. */
export function curricular(t: number): NegativeRule {
  return { threshold: 'target', above: { value: [0, t, 1], slope: [t, 2] }, below: PLAIN };
}

/** They become t·c + t − 1: MV-Softmax with adaptive weights, Wang et al., AAAI 2020. */
export function mvAdaptive(t: number): NegativeRule {
  return { threshold: 'target', above: { value: [t - 1, t, 0], slope: [t, 0] }, below: PLAIN };
}

/** They become c + t − 1: MV-Softmax with fixed weights. */
export function mvFixed(t: number): NegativeRule {
  return { threshold: 'target', above: { value: [t - 1, 1, 0], slope: [1, 0] }, below: PLAIN };
}

/** Negatives above the threshold get the logit 0, and no gradient: arcface_torch's inter-class filter. */
export function interClassFilter(threshold: number): NegativeRule {
  return { threshold, above: { value: [0, 0, 0], slope: [0, 0] }, below: PLAIN };
}

/**
 * α_n·(c − m), α_n = max(0, c + m): Circle loss, Sun et al., CVPR 2020, eq. 6. In the published programs α_n is a constant to the
 * gradient ('detached').
 */
export function circleNegatives(m: number, weights: 'detached' | 'exact'): NegativeRule {
  return {
    threshold: -m,
    above: { value: [-(m ** 2), 0, 1], slope: weights === 'detached' ? [m, 1] : [0, 2] },
    below: { value: [0, 0, 0], slope: [0, 0] },
  };
}
