import { checkNumbers, checkOneOf, checkOptions } from './check-options.js';
import { ANGLE, COSINE } from './check-spec.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';

export interface GroupMarginOptions extends CommonMarginOptions {
  /** 'arc' (default): s·cos(θ + m), m radians in [−π/2, π/2]. 'cos': s·(cosθ − m), m in [−1, 1]. */
  readonly base?: 'arc' | 'cos';
  /** [C] group of each class, in [0, G). */
  readonly groups: ArrayLike<number>;
  /** [G] margin of each group. */
  readonly margins: ArrayLike<number>;
}

/**
 * A margin for each group of classes, for data in which some groups have fewer identities than others: the margins of Wang and
 * Deng, "Mitigating Bias in Face Recognition Using Skewness-Aware Reinforcement Learning", CVPR 2020, eq. 2, which finds them by
 * reinforcement learning; here they are given.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function groupMargin(options: GroupMarginOptions): MarginSpec {
  checkOptions('groupMargin', options, ['base', 'groups', 'margins', ...COMMON_OPTIONS]);
  const { base = 'arc' } = options;
  checkOneOf('groupMargin.base', base, ['arc', 'cos']);
  const isArc = base === 'arc';
  const ofGroups = checkNumbers('groupMargin.margins', options.margins, isArc ? ANGLE : COSINE);
  const range = { low: 0, high: ofGroups.length - 1, integer: true };
  const margins = checkNumbers('groupMargin.groups', options.groups, range).map((group) => ofGroups[group]!);
  const mean = ofGroups.reduce((sum, margin) => sum + margin, 0) / ofGroups.length;
  return makeSpec({
    name: 'group-margin',
    m1: 1,
    m2: isArc ? mean : 0,
    m3: isArc ? 0 : mean,
    ...common(options),
    adaptive: [{ kind: 'class-margins', parameter: isArc ? 'm2' : 'm3', margins }],
  });
}
