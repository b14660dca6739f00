import type { ReferenceRule } from './problem.js';

/** Default ε of the `clip` fallback, radians (AdaFace's arcface head). */
export const CLIP_RADIANS = 1e-4;

/** A target logit and its derivatives. */
export interface TargetLogit {
  /** T = s·(w·(A(θ) − m3) + (1 − w)·cosθ) */
  readonly logit: number;
  /** h = dT/dc·sinθ, c = cosθ. Finite everywhere, where dT/dc itself grows as 1/sinθ near c = ±1. */
  readonly slope: number;
  /** dT/dm1 */
  readonly byM1: number;
  /** dT/dm2 */
  readonly byM2: number;
}

/** A(θ), dA/dc·sinθ, dA/dm1 and dA/dm2. */
interface Angle {
  readonly value: number;
  readonly slope: number;
  readonly byM1: number;
  readonly byM2: number;
}

/** cos φ, φ = m1·θ + m2, and what replaces it: ArcFace, Deng et al., CVPR 2019, eq. 3 and 4. */
function cosineAngle(cosTheta: number, sinTheta: number, rule: ReferenceRule): Angle {
  const { m1, m2, fallback, clipRadians = CLIP_RADIANS } = rule;
  const theta = Math.atan2(sinTheta, cosTheta);
  const phi = m1 * theta + m2;
  const withMargin = {
    value: Math.cos(phi),
    slope: m1 * Math.sin(phi),
    byM1: -theta * Math.sin(phi),
    byM2: -Math.sin(phi),
  };
  switch (fallback) {
    case 'none':
      return withMargin;
    case 'easy':
      return cosTheta > 0 ? withMargin : { value: cosTheta, slope: sinTheta, byM1: 0, byM2: 0 };
    case 'clip': {
      const clamped = Math.min(Math.max(phi, clipRadians), Math.PI - clipRadians);
      return clamped === phi ? withMargin : { value: Math.cos(clamped), slope: 0, byM1: 0, byM2: 0 };
    }
    case 'hard': {
      if (phi <= Math.PI) return withMargin;
      const bound = (Math.PI - m2) / m1;
      const beyond = Math.PI - bound;
      const byBound = Math.sin(bound) - beyond * Math.cos(bound);
      return {
        value: cosTheta - beyond * Math.sin(bound),
        slope: sinTheta,
        byM1: (-byBound * bound) / m1,
        byM2: -byBound / m1,
      };
    }
  }
}

/** (−1)^k·cos(m1·θ) − 2k, k = ⌊m1·θ/π⌋: SphereFace, Liu et al., CVPR 2017, eq. 7. */
function sphereAngle(cosTheta: number, sinTheta: number, { m1 }: ReferenceRule): Angle {
  const theta = Math.atan2(sinTheta, cosTheta);
  const k = Math.floor((m1 * theta) / Math.PI);
  const sign = k % 2 === 0 ? 1 : -1;
  const sine = sign * Math.sin(m1 * theta);
  return { value: sign * Math.cos(m1 * theta) - 2 * k, slope: m1 * sine, byM1: -theta * sine, byM2: 0 };
}

/** −m1·(θ − m2)²: X2-Softmax, Xu et al., 2023, eq. 6. */
function quadraticAngle(cosTheta: number, sinTheta: number, { m1, m2 }: ReferenceRule): Angle {
  const from = Math.atan2(sinTheta, cosTheta) - m2;
  return { value: -m1 * from ** 2, slope: 2 * m1 * from, byM1: -(from ** 2), byM2: 2 * m1 * from };
}

/** (1 + m2 − c)·(c − 1 + m2): Circle loss with class centres, Sun et al., CVPR 2020, eq. 6. */
function circleAngle(cosTheta: number, sinTheta: number, { m2 }: ReferenceRule): Angle {
  const value = (1 + m2 - cosTheta) * (cosTheta - 1 + m2);
  return { value, slope: 2 * (1 - cosTheta) * sinTheta, byM1: 0, byM2: 2 * m2 };
}

const FAMILIES = { cosine: cosineAngle, sphere: sphereAngle, quadratic: quadraticAngle, circle: circleAngle };

function angle(cosTheta: number, sinTheta: number, rule: ReferenceRule): Angle {
  return FAMILIES[rule.family ?? 'cosine'](cosTheta, sinTheta, rule);
}

/** What `gradient: 'straight-through'` takes for dA/dc: 1; of `circle`, whose weight is a constant to its gradient, that weight. */
function straightThrough(cosTheta: number, { family, m2 }: ReferenceRule): number {
  return family === 'circle' ? 1 + m2 - cosTheta : 1;
}

/**
 * Target logit of the angle θ whose cosine and sine are given (docs/numerics.md, "Target logit").
 * CosFace: Wang et al., CVPR 2018, eq. 4. NormFace: Wang et al., 2017. The blend with cosθ: SphereFace's annealing.
 */
export function targetLogit(cosTheta: number, sinTheta: number, rule: ReferenceRule): TargetLogit {
  const { scale, m3, gradient, blend = 1 } = rule;
  const { value, slope: exact, byM1, byM2 } = angle(cosTheta, sinTheta, rule);
  const slope = gradient === 'straight-through' ? straightThrough(cosTheta, rule) * sinTheta : exact;
  return {
    logit: scale * (blend * (value - m3) + (1 - blend) * cosTheta),
    slope: scale * (blend * slope + (1 - blend) * sinTheta),
    byM1: scale * blend * byM1,
    byM2: scale * blend * byM2,
  };
}

/** τ = A(θ) − m3 without fallback and blend: the cosine that a negative rule of threshold 'target' compares with. */
export function targetThreshold(cosTheta: number, sinTheta: number, rule: ReferenceRule): number {
  return angle(cosTheta, sinTheta, { ...rule, fallback: 'none' }).value - rule.m3;
}
