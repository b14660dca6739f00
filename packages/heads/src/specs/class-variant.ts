import { checkNumber, checkNumbers, checkOptions, fail } from './check-options.js';
import { COSINE } from './check-spec.js';
import { common, COMMON_OPTIONS, makeSpec, type CommonMarginOptions, type MarginSpec } from './spec.js';

export interface ClassVariantOptions extends CommonMarginOptions {
  /** [C] samples of each class, ≥ 1. */
  readonly counts: ArrayLike<number>;
  /** True-class margin of the class with fewest samples, in [0, 1]; default 0.5. */
  readonly margin?: number;
  /** m_f, what each false class's cosine gains, in [0, 1]; default 0. */
  readonly falseMargin?: number;
}

/**
 * Class-variant margins for long-tailed classes: s·(cosθ_y − m_y) against s·(cosθ_j + m_f), m_y = margin·(min n/n_y)^(1/4). True-class and
 * false-class margins in cosine are those of Zhang et al., "Class-Variant Margin Normalized Softmax Loss", TNNLS 2021, whose own
 * formula for m_y was not to be had: this form is ours, with the exponent of Cao et al., "Learning Imbalanced Datasets with
 * Label-Distribution-Aware Margin Loss", NeurIPS 2019, eq. 13. A softmax only knows differences, so m_f is added to every
 * m_y: the same loss, and the negatives stay as they are.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function classVariant(options: ClassVariantOptions): MarginSpec {
  checkOptions('classVariant', options, ['counts', 'margin', 'falseMargin', ...COMMON_OPTIONS]);
  const { margin = 0.5, falseMargin = 0 } = options;
  const counts = checkNumbers('classVariant.counts', options.counts, { low: 1, high: Number.MAX_SAFE_INTEGER });
  checkNumber('classVariant.margin', margin, { low: 0, high: COSINE.high });
  checkNumber('classVariant.falseMargin', falseMargin, { low: 0, high: COSINE.high });
  if (margin + falseMargin > 1) fail('classVariant.falseMargin', `at most 1 − margin, ${1 - margin}`, falseMargin);
  const fewest = counts.reduce((least, count) => Math.min(least, count), Infinity);
  const margins = counts.map((count) => margin * (fewest / count) ** 0.25 + falseMargin);
  return makeSpec({
    name: 'class-variant',
    m1: 1,
    m2: 0,
    m3: margin + falseMargin,
    ...common(options),
    adaptive: [{ kind: 'class-margins', parameter: 'm3', margins }],
  });
}
