import sharp, { type Sharp } from 'sharp';
import { ARCFACE_TEMPLATE, type Point } from '../../../dist/data/align/similarity.js';
import { KeyedRandom } from '../../../dist/data/index.js';

/**
 * A face as the detectors of paintedDetector.ts see one: a square of one colour. Red of 255 says that it is one, green how large it is, blue how it is
 * turned.
 */
export interface PaintedFace {
  /** Left and top pixel of the square, and its side. */
  readonly x: number;
  readonly y: number;
  readonly side: number;
  readonly green: number;
  readonly blue: number;
}

/** ArcFace's template round its own centre, in pixels at 112×112. */
export const CENTRED = ((): Point[] => {
  const mean = [0, 1].map((axis) => ARCFACE_TEMPLATE.reduce((sum, point) => sum + point[axis]!, 0) / 5);
  return ARCFACE_TEMPLATE.map(([x, y]): Point => [x - mean[0]!, y - mean[1]!]);
})();

/** The matrix [along −across; across along] is 0.2 + 0.8·green and 0.8·(blue − 0.5), of colours in [0, 1]. */
export const ALONG = { constant: 0.2, green: 0.8 };
export const ACROSS = { constant: -0.4, blue: 0.8 };

/** Where the landmarks of a face are in the detector's input. */
export function landmarksOf({ x, y, side, green, blue }: PaintedFace): Point[] {
  const along = ALONG.constant + (ALONG.green * green) / 255;
  const across = ACROSS.constant + (ACROSS.blue * blue) / 255;
  return CENTRED.map(([u, v]): Point => [x + side / 2 + along * u - across * v, y + side / 2 + across * u + along * v]);
}

/** A picture of noise, without much red, with faces on it: RGB. */
export function paint(width: number, height: number, faces: readonly PaintedFace[], seed = 1): Sharp {
  const random = new KeyedRandom(seed);
  const pixels = Buffer.from(
    Array.from({ length: width * height * 3 }, (_, i) => random.integer(i % 3 === 0 ? 60 : 256)),
  );
  for (const { x, y, side, green, blue } of faces) {
    for (let row = y; row < y + side; row++) {
      for (let column = x; column < x + side; column++) pixels.set([255, green, blue], 3 * (row * width + column));
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** Largest distance of any landmark along an axis. */
export const offBy = (found: readonly Point[], expected: readonly Point[]): number =>
  Math.max(...found.flatMap(([x, y], i) => [Math.abs(x - expected[i]![0]), Math.abs(y - expected[i]![1])]));
