import type { NegativeRule } from '../../dist/margin.js';
import type { ReferenceRule } from '../../dist/reference/index.js';
import { ARCFACE, fp32Rule } from './data.js';
import { circleNegatives, curricular, interClassFilter, mvAdaptive, mvFixed } from './negative-rules.js';

/** One margin of each family, and points of the ranges where their formulas change. Each exact in fp32. */
export const FAMILIES: Readonly<Record<string, ReferenceRule>> = mapped<Partial<ReferenceRule>, ReferenceRule>(
  {
    'SphereFace, m 4': { family: 'sphere', m1: 4 },
    'SphereFace, m 1.7 and m3': { family: 'sphere', m1: 1.7, m3: 0.1 },
    'SphereFace, m 1': { family: 'sphere', m1: 1 },
    'X2-Softmax': { family: 'quadratic', m1: 0.9, m3: -0.65 },
    'X2-Softmax, h 0.4, a −0.05': { family: 'quadratic', m1: 0.05, m2: 0.4 },
    'circle, m 0.25': { family: 'circle', m2: 0.25 },
    'circle, m 0.6 and m3': { family: 'circle', m2: 0.6, m3: -0.2 },
  },
  (family) => fp32Rule({ ...ARCFACE, m2: 0, fallback: 'none', ...family }),
);

/** Published rules, and one whose branches differ in every coefficient. */
export const NEGATIVES: Readonly<Record<string, NegativeRule>> = mapped(
  {
    'curricular, t 0.3': curricular(0.3),
    'MV adaptive, t 1.12': mvAdaptive(1.12),
    'MV fixed, t 1.12': mvFixed(1.12),
    'filter at 0.4': interClassFilter(0.4),
    'circle, m 0.25': circleNegatives(0.25, 'detached'),
    'two parabolas': {
      threshold: 0.1,
      above: { value: [0.2, -0.5, 0.75], slope: [1.5, -0.25] },
      below: { value: [-0.1, 0.5, -0.25], slope: [-0.5, 2] },
    },
  },
  fp32Negatives,
);

/** The rule with numbers that are exact in fp32. */
export function fp32Negatives({ threshold, above, below }: NegativeRule): NegativeRule {
  const exact = ({ value, slope }: NegativeRule['above']): NegativeRule['above'] => ({
    value: [Math.fround(value[0]), Math.fround(value[1]), Math.fround(value[2])],
    slope: [Math.fround(slope[0]), Math.fround(slope[1])],
  });
  return {
    threshold: threshold === 'target' ? threshold : Math.fround(threshold),
    above: exact(above),
    below: exact(below),
  };
}

function mapped<From, To>(entries: Record<string, From>, change: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, change(value)]));
}
