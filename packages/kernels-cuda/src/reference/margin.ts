import type { ReferenceRule } from './problem.js';

/** ε of the `clip` fallback, radians (AdaFace's arcface head). */
export const CLIP_RADIANS = 1e-4;

/** A target logit and its slope. */
export interface TargetLogit {
  /** T = s·(A(θ) − m3) */
  readonly logit: number;
  /** h = dT/dc·sinθ, c = cosθ. Finite everywhere, where dT/dc itself grows as 1/sinθ near c = ±1. */
  readonly slope: number;
}

/** A(θ), and dA/dc·sinθ. */
interface Angle {
  readonly value: number;
  readonly slope: number;
}

function unscaled(cosTheta: number, sinTheta: number, rule: ReferenceRule): Angle {
  const { m1, m2, fallback } = rule;
  const theta = Math.atan2(sinTheta, cosTheta);
  const phi = m1 * theta + m2;
  const withMargin = { value: Math.cos(phi), slope: m1 * Math.sin(phi) };
  switch (fallback) {
    case 'none':
      return withMargin;
    case 'easy':
      return cosTheta > 0 ? withMargin : { value: cosTheta, slope: sinTheta };
    case 'clip': {
      const clamped = Math.min(Math.max(phi, CLIP_RADIANS), Math.PI - CLIP_RADIANS);
      return clamped === phi ? withMargin : { value: Math.cos(clamped), slope: 0 };
    }
    case 'hard': {
      if (phi <= Math.PI) return withMargin;
      const bound = (Math.PI - m2) / m1;
      return { value: cosTheta - (Math.PI - bound) * Math.sin(bound), slope: sinTheta };
    }
  }
}

/**
 * Target logit of the angle θ whose cosine and sine are given (docs/numerics.md, "Target logit").
 * ArcFace: Deng et al., CVPR 2019, eq. 3 and 4. CosFace: Wang et al., CVPR 2018, eq. 4. NormFace: Wang et al., 2017.
 */
export function targetLogit(cosTheta: number, sinTheta: number, rule: ReferenceRule): TargetLogit {
  const { value, slope } = unscaled(cosTheta, sinTheta, rule);
  return {
    logit: rule.scale * (value - rule.m3),
    slope: rule.scale * (rule.gradient === 'straight-through' ? sinTheta : slope),
  };
}
