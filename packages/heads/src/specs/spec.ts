import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import type { Adaptation } from './adaptation.js';
import { checkMarginSpec } from './check-spec.js';

/**
 * A checked, frozen margin: plain data that survives JSON. The rule is what every sample has unless an adaptation moves it; heads
 * carry adaptations out, the functional forms (`marginSoftmaxLoss`, `marginLogits`) take the rule as it is.
 */
export interface MarginSpec extends MarginRule {
  /** Name of the family, for logs and files. */
  readonly name: string;
  readonly adaptive?: readonly Adaptation[];
}

/** What every margin of the family 'cosine' takes besides its own numbers. */
export interface CommonMarginOptions {
  /** Logit scale s in (0, 1024]; default 64. */
  readonly scale?: number;
  /**
   * What replaces cos φ where φ = m1·θ + m2 > π; default 'hard' (cosθ − m·sin m, the published fallback). 'easy': cosθ wherever
   * cosθ ≤ 0. 'none': cos φ as it is (arcface_torch). 'clip': φ clamped to [1e-4, π − 1e-4].
   */
  readonly fallback?: MarginRule['fallback'];
  /** 'exact' (default), or 'straight-through': dT/dcosθ = s, which arcface_torch computes. */
  readonly gradient?: MarginRule['gradient'];
}

export const COMMON_OPTIONS = ['scale', 'fallback', 'gradient'] as const;

function freezeDeep<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) freezeDeep(inner);
    Object.freeze(value);
  }
  return value;
}

/** @throws HyperArcError E_RANGE naming the field. */
export function makeSpec(spec: MarginSpec): MarginSpec {
  return freezeDeep(checkMarginSpec(spec));
}

/** The fields of {@link CommonMarginOptions}, filled in. */
export function common({
  scale = 64,
  fallback = 'hard',
  gradient = 'exact',
}: CommonMarginOptions): Pick<MarginRule, 'scale' | 'fallback' | 'gradient'> {
  return { scale, fallback, gradient };
}
