import type { Fallback, GradientMode, MarginFamily, NativeMarginRule } from './binding.js';
import { describeValue, requireObject, requireOneOf } from './checks.js';
import { HyperArcError } from './errors.js';

/** Half of what a negative's cosine c becomes. Every number in [−16, 16]. */
export interface NegativeBranch {
  /** N(c) = value[0] + value[1]·c + value[2]·c² */
  readonly value: readonly [number, number, number];
  /** dN/dc as it is back-propagated: slope[0] + slope[1]·c. The true derivative is [value[1], 2·value[2]]. */
  readonly slope: readonly [number, number];
}

/** What a negative's cosine becomes before the softmax: its logit is s·N(c) (docs/numerics.md, "Negatives"). */
export interface NegativeRule {
  /** A cosine in [−1, 1], or 'target': each sample's own A(θ) − m3, without fallback and blend. */
  readonly threshold: 'target' | number;
  /** N where c > threshold. */
  readonly above: NegativeBranch;
  /** N elsewhere. */
  readonly below: NegativeBranch;
}

/**
 * Target logit s·(w·(A(θ) − m3) + (1 − w)·cosθ) (docs/numerics.md, "Target logit").
 * `scale` in (0, 1024], `m1` in [0.5, 4] ('quadratic': [0.01, 4]), `m2` in [−π/2, π/2] radians ('circle': [0, π/2]), `m3` in [−1, 1].
 */
export interface MarginRule {
  readonly scale: number;
  readonly m1: number;
  readonly m2: number;
  readonly m3: number;
  /** For the family 'cosine'; the others take 'none'. */
  readonly fallback: Fallback;
  readonly gradient: GradientMode;
  /**
   * A(θ): 'cosine' (default) cos(m1·θ + m2) with its fallback; 'sphere' (−1)^k·cos(m1·θ) − 2k, k = ⌊m1·θ/π⌋; 'quadratic' −m1·(θ − m2)²;
   * 'circle' (1 + m2 − cosθ)(cosθ − 1 + m2).
   */
  readonly family?: MarginFamily;
  /** w in [0, 1]; default 1. */
  readonly blend?: number;
  /** ε of fallback 'clip', radians in (0, 0.1]; default 1e-4. */
  readonly clipRadians?: number;
  /** Default: N(c) = c. */
  readonly negatives?: NegativeRule | undefined;
}

type Range = readonly [low: number, high: number];

const HALF_PI = Math.PI / 2;
/** Where m1 and m2 may lie, by family. */
const RANGES: Record<MarginFamily, { readonly m1: Range; readonly m2: Range }> = {
  cosine: { m1: [0.5, 4], m2: [-HALF_PI, HALF_PI] },
  // ψ starts at θ = 0 and is monotone from m1 = 1 on.
  sphere: { m1: [1, 4], m2: [0, 0] },
  quadratic: { m1: [0.01, 4], m2: [-HALF_PI, HALF_PI] },
  circle: { m1: [0.5, 4], m2: [0, HALF_PI] },
};
const FAMILIES = Object.keys(RANGES) as readonly MarginFamily[];
const FALLBACKS: readonly Fallback[] = ['hard', 'easy', 'none', 'clip'];
const GRADIENT_MODES: readonly GradientMode[] = ['exact', 'straight-through'];
/** Bound of a negative branch's numbers. */
const LARGEST_COEFFICIENT = 16;

function failRange(name: string, expected: string, received: unknown): never {
  throw new HyperArcError('E_RANGE', `${name}: expected ${expected}, received ${describeValue(received)}`);
}

/** `where` ends the sentence, e.g. " with family 'sphere'". */
function checkNumber(name: string, value: unknown, [low, high]: Range, openLow = false, where = ''): number {
  if (typeof value === 'number' && (openLow ? value > low : value >= low) && value <= high) return value;
  const expected = low === high ? String(low) : `a number in ${openLow ? '(' : '['}${low}, ${high}]`;
  return failRange(name, expected + where, value);
}

/** A copy of `values`, each checked: `count` numbers in [−16, 16]. */
function checkCoefficients(name: string, values: unknown, count: number): number[] {
  if (!Array.isArray(values) || values.length !== count) return failRange(name, `an array of ${count} numbers`, values);
  const range: Range = [-LARGEST_COEFFICIENT, LARGEST_COEFFICIENT];
  return Array.from(values, (value, i) => checkNumber(`${name}[${i}]`, value, range));
}

function checkBranch(name: string, branch: NegativeBranch): NegativeBranch {
  const { value, slope } = requireObject(name, branch);
  return {
    value: checkCoefficients(`${name}.value`, value, 3) as [number, number, number],
    slope: checkCoefficients(`${name}.slope`, slope, 2) as [number, number],
  };
}

function checkNegatives(negatives: NegativeRule): NegativeRule {
  const { threshold, above, below } = requireObject('margin.negatives', negatives);
  if (threshold !== 'target' && !(typeof threshold === 'number' && threshold >= -1 && threshold <= 1)) {
    failRange('margin.negatives.threshold', "'target' or a number in [-1, 1]", threshold);
  }
  return {
    threshold,
    above: checkBranch('margin.negatives.above', above),
    below: checkBranch('margin.negatives.below', below),
  };
}

/**
 * The complete rule, defaults filled in; `rule` is not changed. A complete rule comes out as it is.
 * @throws HyperArcError E_RANGE naming the field.
 */
export function checkMarginRule(rule: MarginRule): NativeMarginRule {
  requireObject('margin', rule);
  const { family: given = 'cosine', blend = 1, clipRadians = 1e-4, negatives } = rule;
  const family = requireOneOf('margin.family', given, FAMILIES);
  const isCosine = family === 'cosine';
  const where = isCosine ? '' : ` with family '${family}'`;
  const fallback = requireOneOf('margin.fallback', rule.fallback, FALLBACKS);
  if (!isCosine && fallback !== 'none') failRange('margin.fallback', `'none'${where}`, fallback);
  return {
    scale: checkNumber('margin.scale', rule.scale, [0, 1024], true),
    m1: checkNumber('margin.m1', rule.m1, RANGES[family].m1, false, where),
    m2: checkNumber('margin.m2', rule.m2, RANGES[family].m2, false, where),
    m3: checkNumber('margin.m3', rule.m3, [-1, 1]),
    fallback,
    gradient: requireOneOf('margin.gradient', rule.gradient, GRADIENT_MODES),
    family,
    blend: checkNumber('margin.blend', blend, [0, 1]),
    clipRadians: checkNumber('margin.clipRadians', clipRadians, [0, 0.1], true),
    negatives: negatives === undefined ? undefined : checkNegatives(negatives),
  };
}
