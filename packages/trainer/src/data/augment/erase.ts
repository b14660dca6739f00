import type { KeyedRandom } from '../keyedRandom.js';
import type { Pixels } from './image.js';
import type { Region } from './resample.js';

export const FILLS = ['black', 'mean', 'noise'] as const;
export type Fill = (typeof FILLS)[number];

/**
 * Covers a rectangle: black (cutout, DeVries and Taylor 2017), the image's mean colour, or a random byte for every value
 * (random erasing, Zhong et al., AAAI 2020).
 * @param random Of `noise`.
 */
export function eraseRegion(pixels: Pixels, size: number, { top, left, height, width }: Region, fill: Fill, random: KeyedRandom): Pixels {
  const result = new Uint8Array(pixels);
  const colour = fill === 'mean' ? meanColour(pixels) : [0, 0, 0];
  for (let row = top; row < top + height; row++) {
    for (let at = (row * size + left) * 3; at < (row * size + left + width) * 3; at++) {
      result[at] = fill === 'noise' ? random.integer(256) : colour[at % 3]!;
    }
  }
  return result;
}

function meanColour(pixels: Pixels): number[] {
  const sums = [0, 0, 0];
  for (let at = 0; at < pixels.length; at++) sums[at % 3]! += pixels[at]!;
  return sums.map((sum) => Math.round((3 * sum) / pixels.length));
}
