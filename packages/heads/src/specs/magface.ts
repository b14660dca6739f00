import type { MagnitudeAdaptation } from './adaptation.js';
import { checkOptions } from './check-options.js';
import { checkFields, RANGES } from './check-spec.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';
import { warnOnce } from './warn-once.js';

export interface MagFaceOptions extends CommonMarginOptions {
  /** Range of ‖x‖ [l_a, u_a], above 0; default 10 and 110. */
  readonly lowerNorm?: number;
  readonly upperNorm?: number;
  /** Margin at either end of it [l_m, u_m], radians in [0, π/2]; default 0.45 and 0.8. */
  readonly lowerMargin?: number;
  readonly upperMargin?: number;
  /** λ_g ≥ 0; default 35. Below {@link feasibleRegularizer} a warning, once. */
  readonly regularizer?: number;
}

/**
 * The smallest λ_g for which the optimal ‖x‖ lies within [l_a, u_a]: s·k·u_a²·l_a²/(u_a² − l_a²), k = (u_m − l_m)/(u_a − l_a).
 * Meng et al., "MagFace", CVPR 2021, supplementary, requirement of convergence. 22.587 with the defaults and s = 64.
 */
export function feasibleRegularizer(
  scale: number,
  magnitude: Omit<MagnitudeAdaptation, 'kind' | 'regularizer'>,
): number {
  const { lowerNorm, upperNorm, lowerMargin, upperMargin } = magnitude;
  const slope = (upperMargin - lowerMargin) / (upperNorm - lowerNorm);
  return (scale * slope * upperNorm ** 2 * lowerNorm ** 2) / (upperNorm ** 2 - lowerNorm ** 2);
}

/**
 * MagFace: s·cos(θ + m(a)) with m(a) linear in a = clamp(‖x‖, l_a, u_a), and λ_g·mean(a/u_a² + 1/a) added to the loss: Meng et al.,
 * "MagFace", CVPR 2021, eq. 3–5. The gradient flows through ‖x‖, and stops outside [l_a, u_a]. The norm becomes a measure of
 * quality. `fallback` is 'easy' by default, as in the authors' program.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function magFace(options: MagFaceOptions = {}): MarginSpec {
  checkOptions('magFace', options, [...Object.keys(RANGES.magnitude), ...COMMON_OPTIONS]);
  const { lowerNorm = 10, upperNorm = 110, lowerMargin = 0.45, upperMargin = 0.8, regularizer = 35 } = options;
  const magnitude = { kind: 'magnitude', lowerNorm, upperNorm, lowerMargin, upperMargin, regularizer } as const;
  checkFields('magFace', magnitude);
  const spec = makeSpec({
    name: 'magface',
    m1: 1,
    m2: lowerMargin,
    m3: 0,
    ...common({ ...options, fallback: options.fallback ?? 'easy' }),
    adaptive: [magnitude],
  });
  const bound = feasibleRegularizer(spec.scale, magnitude);
  if (regularizer < bound) {
    const consequence = 'below it the best ‖x‖ of easy samples does not lie within the range of norms';
    warnOnce(`magFace.regularizer: expected at least ${bound.toFixed(3)}, received ${regularizer}; ${consequence}`);
  }
  return spec;
}
