import type { MarginRule, NegativeBranch } from '@hyperarc/kernels-cuda/margin';
import { checkNumber, checkOneOf, checkOptions } from './check-options.js';
import { makeSpec, type MarginSpec } from './spec.js';

export interface CircleSoftmaxOptions {
  /** m in [0, 1]; default 0.25. */
  readonly margin?: number;
  /** γ in (0, 1024]; default 256. */
  readonly scale?: number;
  /** 'straight-through' (default): the weights α are constants to the gradient, as published. 'exact': they are not. */
  readonly gradient?: MarginRule['gradient'];
}

/**
 * Circle loss with class centres: s·α_p·(cosθ_y − 1 + m), α_p = 1 + m − cosθ_y, against s·α_n·(cosθ_j − m), α_n = max(0, cosθ_j + m). Sun
 * et al., "Circle Loss", CVPR 2020, eq. 6 and §3.3 with O_p = 1 + m, O_n = −m, Δ_p = 1 − m, Δ_n = m. (The pairwise form is a metric loss
 * of this package.)
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function circleSoftmax(options: CircleSoftmaxOptions = {}): MarginSpec {
  checkOptions('circleSoftmax', options, ['margin', 'scale', 'gradient'], {
    fallback: "Circle loss's target falls on all of [0, π]: there is nothing to fall back from",
  });
  const { margin = 0.25, scale = 256, gradient = 'straight-through' } = options;
  checkNumber('circleSoftmax.margin', margin, { low: 0, high: 1 });
  checkOneOf('circleSoftmax.gradient', gradient, ['exact', 'straight-through']);
  // (c + m)(c − m); its derivative with α_n held still is c + m.
  const slope = gradient === 'exact' ? ([0, 2] as const) : ([margin, 1] as const);
  const above: NegativeBranch = { value: [0 - margin ** 2, 0, 1], slope };
  const below: NegativeBranch = { value: [0, 0, 0], slope: [0, 0] };
  return makeSpec({
    name: 'circle-softmax',
    scale,
    m1: 1,
    m2: margin,
    m3: 0,
    fallback: 'none',
    gradient,
    family: 'circle',
    negatives: { threshold: 0 - margin, above, below },
  });
}
