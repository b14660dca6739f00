import type { RgbImage } from '../align/warp.js';

/** How a detector's input is made of pixels 0…255: (pixel − mean[c]) / deviation, mean in the channels' order. */
export interface InputRule {
  readonly channels: 'RGB' | 'BGR';
  readonly mean: readonly [number, number, number];
  readonly deviation: number;
}

export interface InputSize {
  readonly width: number;
  readonly height: number;
}

/** An image as a detector takes it. */
export interface Letterboxed {
  /** float32 [1, 3, height, width]. */
  readonly values: Float32Array;
  /** Pixels of the input for one of the image, along x and y. */
  readonly scale: readonly [x: number, y: number];
}

/**
 * An image as large as it fits into the input, at its top left, black around: InsightFace's `detect`, its sizes rounded down as there. Bilinear without
 * smoothing, with pixels' centres on one another and the edge repeated, as OpenCV's `resize`, to the rounding of a half; values are whole numbers before
 * the rule is applied. Small images are enlarged.
 */
export function letterbox(image: RgbImage, size: InputSize, { channels, mean, deviation }: InputRule): Letterboxed {
  const { data, width: columns, height: rows } = image;
  const [width, height] = fittedSize(image, size);
  const plane = size.width * size.height;
  const values = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    values.fill(-mean[channel]! / deviation, channel * plane, (channel + 1) * plane);
  }
  const across = samplesOf(columns, width);
  const down = samplesOf(rows, height);
  for (let y = 0; y < height; y++) {
    const { first: top, second: low, share: lower } = down[y]!;
    for (let x = 0; x < width; x++) {
      const { first: left, second: right, share: further } = across[x]!;
      const [above, below] = [3 * top * columns, 3 * low * columns];
      for (let channel = 0; channel < 3; channel++) {
        const from = channels === 'RGB' ? channel : 2 - channel;
        const [west, east] = [3 * left + from, 3 * right + from];
        const upper = data[above + west]! + further * (data[above + east]! - data[above + west]!);
        const under = data[below + west]! + further * (data[below + east]! - data[below + west]!);
        const value = Math.floor(upper + lower * (under - upper) + 0.5);
        values[channel * plane + y * size.width + x] = (value - mean[channel]!) / deviation;
      }
    }
  }
  return { values, scale: [width / columns, height / rows] };
}

/** The largest size of the image's shape that fits, rounded down, a pixel at least. */
function fittedSize(image: InputSize, size: InputSize): [width: number, height: number] {
  const ratio = image.height / image.width;
  const [width, height] =
    ratio > size.height / size.width
      ? [Math.trunc(size.height / ratio), size.height]
      : [size.width, Math.trunc(size.width * ratio)];
  return [Math.max(1, width), Math.max(1, height)];
}

/** For each of `to` pixels, the two of `from` it lies between, and how far it is from the first towards the second. */
function samplesOf(from: number, to: number): { first: number; second: number; share: number }[] {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    const first = Math.floor(place);
    return { first, second: Math.min(from - 1, first + 1), share: place - first };
  });
}
