import type { Fallback, GradientMode, MarginFamily, NativeMarginRule } from './binding.js';
import { requireObject } from './checks.js';
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

const FALLBACKS: readonly Fallback[] = ['hard', 'easy', 'none', 'clip'];
const GRADIENT_MODES: readonly GradientMode[] = ['exact', 'straight-through'];

function checkNumber(name: string, value: unknown, low: number, high: number, openLow: boolean): void {
  const ok = typeof value === 'number' && (openLow ? value > low : value >= low) && value <= high;
  if (!ok) {
    const bracket = openLow ? '(' : '[';
    throw new HyperArcError(
      'E_RANGE',
      `${name}: expected a number in ${bracket}${low}, ${high}], received ${String(value)}`,
    );
  }
}

/**
 * Returns `rule` unchanged after checking every field.
 * @throws HyperArcError E_RANGE naming the field.
 */
export function checkMarginRule(rule: MarginRule): NativeMarginRule {
  requireObject('margin', rule);
  checkNumber('margin.scale', rule.scale, 0, 1024, true);
  checkNumber('margin.m1', rule.m1, 0.5, 4, false);
  checkNumber('margin.m2', rule.m2, -Math.PI / 2, Math.PI / 2, false);
  checkNumber('margin.m3', rule.m3, -1, 1, false);
  if (!FALLBACKS.includes(rule.fallback)) {
    throw new HyperArcError(
      'E_RANGE',
      `margin.fallback: expected one of ${FALLBACKS.join(', ')}, received ${String(rule.fallback)}`,
    );
  }
  if (!GRADIENT_MODES.includes(rule.gradient)) {
    throw new HyperArcError(
      'E_RANGE',
      `margin.gradient: expected one of ${GRADIENT_MODES.join(', ')}, received ${String(rule.gradient)}`,
    );
  }
  return rule;
}
