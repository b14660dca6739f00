import type { NormQualityAdaptation } from './adaptation.js';
import { checkOptions } from './check-options.js';
import { checkFields } from './check-spec.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';

export interface AdaFaceOptions extends CommonMarginOptions {
  /** m in [0, 0.5]; default 0.4. */
  readonly margin?: number;
  /** h in [0, 10]; default 0.333: about two thirds of the samples get k within ±h. */
  readonly concentration?: number;
  /** Weight of a batch in the running mean and deviation of the norm, in (0, 1]; default 0.01. */
  readonly momentum?: number;
}

/**
 * AdaFace: s·(cos(θ + g_angle) − g_add), g_angle = −m·k, g_add = m + m·k: Kim et al., "AdaFace", CVPR 2022, eq. 11–14.
 * k = clip(h·(n − μ)/(σ + 1e-3), −1, 1) is the quality of a sample, n its norm clipped to [1e-3, 100], μ and σ running means of the
 * batches' mean and (unbiased) deviation of n, from 20 and 100 on. No gradient flows through k. `fallback` is 'clip' by default,
 * at 1e-3 radians, as in the authors' program (which also clamps every cosine to ±(1 − 1e-3); this one keeps them exact).
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function adaFace(options: AdaFaceOptions = {}): MarginSpec {
  checkOptions('adaFace', options, ['margin', 'concentration', 'momentum', ...COMMON_OPTIONS]);
  const { margin = 0.4, concentration = 0.333, momentum = 0.01 } = options;
  const numbers = { margin, concentration, momentum, initialMean: 20, initialStddev: 100 };
  const quality: NormQualityAdaptation = { kind: 'norm-quality', ...numbers };
  checkFields('adaFace', quality);
  const { fallback = 'clip' } = options;
  return makeSpec({
    name: 'adaface',
    m1: 1,
    m2: 0,
    m3: margin,
    ...common({ ...options, fallback }),
    ...(fallback === 'clip' && { clipRadians: 1e-3 }),
    adaptive: [quality],
  });
}
