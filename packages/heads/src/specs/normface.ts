import { checkOptions } from './check-options.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';

/**
 * Normalised softmax, s·cosθ: Wang et al., "NormFace", ACM MM 2017, eq. 6, with a fixed scale.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function normFace(options: CommonMarginOptions = {}): MarginSpec {
  checkOptions('normFace', options, COMMON_OPTIONS);
  return makeSpec({ name: 'normface', m1: 1, m2: 0, m3: 0, ...common(options) });
}
