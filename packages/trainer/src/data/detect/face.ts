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
