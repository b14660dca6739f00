import { checkNumber, checkOptions, fail } from './check-options.js';
import { checkMarginSpec } from './check-spec.js';
import { UNCHANGED } from './negative-rules.js';
import { makeSpec, type MarginSpec } from './spec.js';

/**
 * `spec` with inter-class filtering: a negative of cosine above `threshold` is taken for a second class of the same person, and its
 * logit becomes 0, with no gradient. As in insightface's arcface_torch (`interclass_filtering_threshold`), which multiplies such
 * cosines by 0; An et al., "Killing Two Birds with One Stone", CVPR 2022, §3.
 * @param options `threshold` in [0, 1], default 0.4.
 * @throws HyperArcError E_RANGE naming the parameter, or if `spec` has a rule for negatives of its own.
 */
export function withInterClassFilter(spec: MarginSpec, options: { readonly threshold?: number } = {}): MarginSpec {
  checkMarginSpec(spec);
  checkOptions('withInterClassFilter', options, ['threshold']);
  const { threshold = 0.4 } = options;
  checkNumber('withInterClassFilter.threshold', threshold, { low: 0, high: 1 });
  if (spec.negatives) {
    const why = 'one rule for negatives at a time: a head cannot both weigh its hard negatives and leave them out';
    fail('withInterClassFilter.spec', 'a margin that leaves its negatives as they are', spec.name, why);
  }
  const above = { value: [0, 0, 0], slope: [0, 0] } as const;
  return makeSpec({ ...spec, name: `${spec.name}+filter`, negatives: { threshold, above, below: UNCHANGED } });
}
