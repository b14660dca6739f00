import type { CurriculumAdaptation } from './adaptation.js';
import { checkNumber, checkOptions } from './check-options.js';
import { ANGLE, checkFields } from './check-spec.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';
import { curricularNegatives } from './negative-rules.js';

export interface CurricularFaceOptions extends CommonMarginOptions {
  /** m in [−π/2, π/2] radians; default 0.5. */
  readonly margin?: number;
  /** Weight of a batch in t, in (0, 1]; default 0.01. */
  readonly momentum?: number;
}

/**
 * CurricularFace: the target is ArcFace's s·cos(θ + m); a negative of cosine c > cos(θ_y + m) gets s·c·(t + c) in place of s·c. Huang et
 * al., "CurricularFace", CVPR 2020, eq. 5–8. t starts from 0 and follows the mean target cosine, updated before each batch uses it.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function curricularFace(options: CurricularFaceOptions = {}): MarginSpec {
  checkOptions('curricularFace', options, ['margin', 'momentum', ...COMMON_OPTIONS]);
  const { margin = 0.5, momentum = 0.01 } = options;
  checkNumber('curricularFace.margin', margin, ANGLE);
  const curriculum: CurriculumAdaptation = { kind: 'curriculum', momentum };
  checkFields('curricularFace', curriculum);
  return makeSpec({
    name: 'curricularface',
    m1: 1,
    m2: margin,
    m3: 0,
    ...common(options),
    negatives: curricularNegatives(0),
    adaptive: [curriculum],
  });
}
