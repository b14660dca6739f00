import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { Point } from '../align/similarity.js';

/** left, top, right, bottom in pixels. */
export type Box = readonly [left: number, top: number, right: number, bottom: number];

/** A face that a detector found. */
export interface Face {
  /** In [0, 1]. */
  readonly score: number;
  readonly box: Box;
  /** Left eye, right eye, nose, left and right corner of the mouth as one sees them, in pixels. */
  readonly points: readonly Point[];
}

/** What a detector says of one image. */
export interface Detection {
  /** By score, highest first. */
  readonly faces: readonly Face[];
  /** The highest score of any place of the image, a face's or not. */
  readonly bestScore: number;
}

export const areaOf = ([left, top, right, bottom]: Box): number =>
  Math.max(0, right - left) * Math.max(0, bottom - top);

export const FACE_RULES = ['largest', 'center', 'best'] as const;
/**
 * Which of several faces is taken: the one with the largest box; the one near the centre, by area − 2·distance² of the boxes (InsightFace's choice,
 * `metric='default'`); the one with the best score.
 */
export type FaceRule = (typeof FACE_RULES)[number];

/** @throws HyperArcError E_RANGE for a rule that there is not. */
export function checkFaceRule(rule: string): asserts rule is FaceRule {
  if ((FACE_RULES as readonly string[]).includes(rule)) return;
  throw new HyperArcError('E_RANGE', `face: expected ${FACE_RULES.join(', ')}, received ${rule}; change --face`);
}
