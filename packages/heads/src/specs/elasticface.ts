import type { RandomMarginAdaptation } from './adaptation.js';
import { checkFlag, checkNumber, checkOneOf, checkOptions } from './check-options.js';
import { ANGLE, checkFields, COSINE } from './check-spec.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';

export interface ElasticFaceOptions extends CommonMarginOptions {
  /** 'arc' (default): s·cos(θ + m). 'cos': s·(cosθ − m). */
  readonly base?: 'arc' | 'cos';
  /** Mean of m; default 0.5 radians ('arc') or 0.35 ('cos'). */
  readonly margin?: number;
  /** σ of m in [0, 1]; default 0.05, with `plus` 0.0175 ('arc') or 0.02 ('cos'). */
  readonly stddev?: number;
  /** ElasticFace+: of the margins drawn for a batch, the smallest goes to the sample nearest its centre. Default false. */
  readonly plus?: boolean;
  /** Seed of the margins, an integer in [0, 2⁵³); default 0. */
  readonly seed?: number;
}

/**
 * ElasticFace: m is drawn from N(margin, σ²) for each sample and step; Boutros et al., "ElasticFace", CVPR Workshops 2022, eq. 5–8. What is
 * drawn depends on seed, step and position in the batch alone, so a resumed run draws the same; it is held within the range of
 * the parameter (±π/2, ±1). `plus` sorts as the paper says (the authors' program indexes the sorted margins by the
 * permutation of the samples, not by their ranks). Defaults of σ are the program's.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function elasticFace(options: ElasticFaceOptions = {}): MarginSpec {
  checkOptions('elasticFace', options, ['base', 'margin', 'stddev', 'plus', 'seed', ...COMMON_OPTIONS]);
  const { base = 'arc', plus = false, seed = 0 } = options;
  checkOneOf('elasticFace.base', base, ['arc', 'cos']);
  checkFlag('elasticFace.plus', plus);
  const isArc = base === 'arc';
  const sortedStddev = isArc ? 0.0175 : 0.02;
  const { margin = isArc ? 0.5 : 0.35, stddev = plus ? sortedStddev : 0.05 } = options;
  checkNumber('elasticFace.margin', margin, isArc ? ANGLE : COSINE);
  const parameter = isArc ? 'm2' : 'm3';
  const random: RandomMarginAdaptation = { kind: 'random-margin', parameter, stddev, sorted: plus, seed };
  checkFields('elasticFace', random);
  return makeSpec({
    name: plus ? 'elasticface+' : 'elasticface',
    m1: 1,
    m2: isArc ? margin : 0,
    m3: isArc ? 0 : margin,
    ...common(options),
    adaptive: [random],
  });
}
