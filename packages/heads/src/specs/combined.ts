import { checkOptions } from './check-options.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';

/** The three margins of {@link combinedMargin}. */
export interface CombinedMarginOptions extends CommonMarginOptions {
  /** Multiplicative angular margin in [0.5, 4]; default 1. */
  readonly m1?: number;
  /** Additive angular margin in [−π/2, π/2] radians; default 0.3. */
  readonly m2?: number;
  /** Additive cosine margin in [−1, 1]; default 0.2. */
  readonly m3?: number;
}

/**
 * The combined margin s·(cos(m1·θ + m2) − m3): Deng et al., "ArcFace", CVPR 2019, eq. 4. All three margins act together
 * (arcface_torch's class of the same name takes one of them).
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function combinedMargin(options: CombinedMarginOptions = {}): MarginSpec {
  checkOptions('combinedMargin', options, ['m1', 'm2', 'm3', ...COMMON_OPTIONS]);
  const { m1 = 1, m2 = 0.3, m3 = 0.2 } = options;
  return makeSpec({ name: 'combined', m1, m2, m3, ...common(options) });
}
