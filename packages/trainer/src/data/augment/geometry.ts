import type { KeyedRandom } from '../keyedRandom.js';
import { toByte, type Pixels, type Range } from './image.js';
import { resample, type Region } from './resample.js';

/** Mirrors left and right. */
export function flipImage(pixels: Pixels, size: number): Pixels {
  const result = new Uint8Array(pixels.length);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const from = (row * size + size - 1 - column) * 3;
      result.set(pixels.subarray(from, from + 3), (row * size + column) * 3);
    }
  }
  return result;
}

const isWhole = ({ height, width }: Region, size: number): boolean => height === size && width === size;

/** Enlarges a region to the whole image, bilinear. */
export function cropResize(pixels: Pixels, size: number, region: Region): Pixels {
  return isWhole(region, size) ? pixels : resample(pixels, size, region, size, size, 'linear');
}

/** Keeps a region where it is and blackens the rest (AdaFace's crop). */
export function cropPad(pixels: Pixels, size: number, region: Region): Pixels {
  if (isWhole(region, size)) return pixels;
  const result = new Uint8Array(pixels.length);
  for (let row = region.top; row < region.top + region.height; row++) {
    const from = (row * size + region.left) * 3;
    result.set(pixels.subarray(from, from + region.width * 3), from);
  }
  return result;
}

/**
 * A rectangle inside the image, as torchvision's RandomResizedCrop and RandomErasing draw one: its share of the area and
 * the logarithm of its aspect (width/height) uniform, drawn again up to ten times until it fits.
 * @returns undefined when none of the ten fits.
 */
export function drawRegion(random: KeyedRandom, size: number, area: Range, aspect: Range): Region | undefined {
  for (let tries = 0; tries < 10; tries++) {
    const pixels = size * size * random.uniform(...area);
    const ratio = Math.exp(random.uniform(Math.log(aspect[0]), Math.log(aspect[1])));
    const width = Math.round(Math.sqrt(pixels * ratio));
    const height = Math.round(Math.sqrt(pixels / ratio));
    if (width < 1 || height < 1 || width > size || height > size) continue;
    return { top: random.integer(size - height + 1), left: random.integer(size - width + 1), height, width };
  }
  return undefined;
}

/**
 * Turns the image clockwise as seen (y points down), bilinear; what comes from outside is black.
 * @param about The point that stays: the image's centre, or its top left corner (as FaceX-Zoo turns).
 */
export function rotateImage(pixels: Pixels, size: number, degrees: number, about: 'centre' | 'corner'): Pixels {
  if (degrees === 0) return pixels;
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const center = about === 'centre' ? (size - 1) / 2 : 0;
  const result = new Uint8Array(pixels.length);
  const at = (x: number, y: number, channel: number): number =>
    x < 0 || y < 0 || x >= size || y >= size ? 0 : pixels[(y * size + x) * 3 + channel]!;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [dx, dy] = [column - center, row - center];
      const [x, y] = [center + cos * dx + sin * dy, center - sin * dx + cos * dy];
      const [x0, y0] = [Math.floor(x), Math.floor(y)];
      const [fx, fy] = [x - x0, y - y0];
      for (let channel = 0; channel < 3; channel++) {
        const upper = (1 - fx) * at(x0, y0, channel) + fx * at(x0 + 1, y0, channel);
        const lower = (1 - fx) * at(x0, y0 + 1, channel) + fx * at(x0 + 1, y0 + 1, channel);
        result[(row * size + column) * 3 + channel] = toByte((1 - fy) * upper + fy * lower);
      }
    }
  }
  return result;
}
