import { checkMarginRule, type MarginRule } from '@hyperarc/kernels-cuda/margin';

/** A checked, frozen margin: the target logit is s·(A(θ) − m3) with A(θ) = cos(m1·θ + m2) and a fallback where that passes π. */
export interface MarginSpec extends MarginRule {
  /** Name of the family, for logs and files. */
  readonly name: string;
}

/** What every margin family takes besides its own numbers. */
export interface CommonMarginOptions {
  /** Logit scale s in (0, 1024]; default 64. */
  readonly scale?: number;
  /**
   * What replaces cos φ where φ = m1·θ + m2 > π; default 'hard' (cosθ − m·sin m, the published fallback). 'easy': cosθ wherever
   * cosθ ≤ 0. 'none': cos φ as it is (arcface_torch). 'clip': φ clamped to [1e-4, π − 1e-4] (AdaFace).
   */
  readonly fallback?: MarginRule['fallback'];
  /** 'exact' (default), or 'straight-through': dT/dcosθ = s, which arcface_torch computes. */
  readonly gradient?: MarginRule['gradient'];
}

function makeSpec(
  name: string,
  numbers: Pick<MarginRule, 'm1' | 'm2' | 'm3'>,
  common: CommonMarginOptions,
): MarginSpec {
  const { scale = 64, fallback = 'hard', gradient = 'exact' } = common;
  const spec = { name, scale, ...numbers, fallback, gradient };
  checkMarginRule(spec);
  return Object.freeze(spec);
}

/**
 * ArcFace: s·cos(θ + m), Deng et al., "ArcFace", CVPR 2019, eq. 3.
 * @param options `margin` m in [−π/2, π/2] radians, default 0.5.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function arcFace({
  margin = 0.5,
  ...common
}: CommonMarginOptions & { readonly margin?: number } = {}): MarginSpec {
  return makeSpec('arcface', { m1: 1, m2: margin, m3: 0 }, common);
}

/**
 * CosFace: s·(cosθ − m), Wang et al., "CosFace", CVPR 2018, eq. 4.
 * @param options `margin` m in [−1, 1], default 0.35.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function cosFace({
  margin = 0.35,
  ...common
}: CommonMarginOptions & { readonly margin?: number } = {}): MarginSpec {
  return makeSpec('cosface', { m1: 1, m2: 0, m3: margin }, common);
}

/**
 * Normalised softmax, s·cosθ: Wang et al., "NormFace", ACM MM 2017.
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function normFace(common: CommonMarginOptions = {}): MarginSpec {
  return makeSpec('normface', { m1: 1, m2: 0, m3: 0 }, common);
}

/** The three margins of {@link combinedMargin}. */
export interface CombinedMarginOptions extends CommonMarginOptions {
  /** Multiplicative angular margin in [0.5, 4]; default 1. */
  readonly m1?: number;
  /** Additive angular margin in [−π/2, π/2] radians; default 0.3. */
  readonly m2?: number;
  /** Additive cosine margin in [−1, 1]; default 0.2. */
  readonly m3?: number;
}

/**
 * The combined margin s·(cos(m1·θ + m2) − m3): Deng et al., "ArcFace", CVPR 2019, eq. 4. All three margins act together
 * (arcface_torch's class of the same name takes one of them).
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function combinedMargin({ m1 = 1, m2 = 0.3, m3 = 0.2, ...common }: CombinedMarginOptions = {}): MarginSpec {
  return makeSpec('combined', { m1, m2, m3 }, common);
}

/** Margins under the names and numbers that the field's papers and programs use. */
export const presets = Object.freeze({
  /** ArcFace, m = 0.5. */
  arcFace: arcFace(),
  /** ArcFace with the fallback and gradient of insightface's arcface_torch. */
  arcFaceTorch: arcFace({ fallback: 'none', gradient: 'straight-through' }),
  /** CosFace, m = 0.35 (the paper, insightface's MXNet program). */
  cosFace: cosFace(),
  /** CosFace, m = 0.40 (insightface's arcface_torch). */
  cosFaceTorch: cosFace({ margin: 0.4 }),
  /** Normalised softmax. */
  normFace: normFace(),
  /** (m1, m2, m3) = (1, 0.3, 0.2). */
  combined: combinedMargin(),
  /** SphereFace-like multiplicative margin, (1.35, 0, 0). */
  sphereFaceLike: combinedMargin({ m1: 1.35, m2: 0, m3: 0 }),
});
