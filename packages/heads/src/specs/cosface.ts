import { checkNumber, checkOptions } from './check-options.js';
import { COSINE } from './check-spec.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';

export interface CosFaceOptions extends CommonMarginOptions {
  /** m in [−1, 1]; default 0.35. */
  readonly margin?: number;
}

/**
 * CosFace: s·(cosθ − m), Wang et al., "CosFace", CVPR 2018, eq. 4; AM-Softmax, Wang et al., 2018, is the same.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function cosFace(options: CosFaceOptions = {}): MarginSpec {
  checkOptions('cosFace', options, ['margin', ...COMMON_OPTIONS]);
  const { margin = 0.35 } = options;
  checkNumber('cosFace.margin', margin, COSINE);
  return makeSpec({ name: 'cosface', m1: 1, m2: 0, m3: margin, ...common(options) });
}
