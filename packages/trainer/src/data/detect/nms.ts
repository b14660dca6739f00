import { areaOf, type Box, type Face } from './face.js';

/** How much faces may overlap and both be kept. */
export interface OverlapRule {
  /** Highest intersection over union. */
  readonly overlap: number;
  /** Added to widths and heights: 1 where boxes are first and last pixels (InsightFace, Pytorch_Retinaface), 0 where they are edges (OpenCV). */
  readonly pixel: 0 | 1;
}

/**
 * Greedy non-maximum suppression: faces by score, highest first, without those whose box overlaps a kept one's by more than the rule allows. Of equal
 * scores the first given comes first.
 */
export function suppressOverlaps(faces: readonly Face[], { overlap, pixel }: OverlapRule): Face[] {
  // The sort is stable (ECMAScript 2019).
  const waiting = faces.toSorted((a, b) => b.score - a.score);
  const kept: Face[] = [];
  for (const face of waiting) {
    if (kept.every((other) => overlapOf(face.box, other.box, pixel) <= overlap)) kept.push(face);
  }
  return kept;
}

/** Intersection over union; 0 for boxes without any area. */
function overlapOf(a: Box, b: Box, pixel: 0 | 1): number {
  const grow = ([left, top, right, bottom]: Box): Box => [left, top, right + pixel, bottom + pixel];
  const [one, other] = [grow(a), grow(b)];
  const common = areaOf([
    Math.max(one[0], other[0]),
    Math.max(one[1], other[1]),
    Math.min(one[2], other[2]),
    Math.min(one[3], other[3]),
  ]);
  const union = areaOf(one) + areaOf(other) - common;
  return union > 0 ? common / union : 0;
}
