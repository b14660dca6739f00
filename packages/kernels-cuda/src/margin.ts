import type { Fallback, GradientMode, NativeMarginRule } from './binding.js';
import { requireObject } from './checks.js';
import { HyperArcError } from './errors.js';

/**
 * Target logit s·(A(θ) − m3), A(θ) = cos(m1·θ + m2) with its fallback (docs/numerics.md, "Target logit").
 * `scale` in (0, 1024], `m1` in [0.5, 4], `m2` in [−π/2, π/2] radians, `m3` in [−1, 1].
 */
export interface MarginRule {
  readonly scale: number;
  readonly m1: number;
  readonly m2: number;
  readonly m3: number;
  readonly fallback: Fallback;
  readonly gradient: GradientMode;
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
