import { checkNumber, checkOptions } from './check-options.js';
import { ANGLE } from './check-spec.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';

export interface ArcFaceOptions extends CommonMarginOptions {
  /** m in [−π/2, π/2] radians; default 0.5. */
  readonly margin?: number;
}

/**
 * ArcFace: s·cos(θ + m), Deng et al., "ArcFace", CVPR 2019, eq. 3.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function arcFace(options: ArcFaceOptions = {}): MarginSpec {
  checkOptions('arcFace', options, ['margin', ...COMMON_OPTIONS]);
  const { margin = 0.5 } = options;
  checkNumber('arcFace.margin', margin, ANGLE);
  return makeSpec({ name: 'arcface', m1: 1, m2: margin, m3: 0, ...common(options) });
}
