import { toByte, type Pixels } from './image.js';

/** OpenCV's five, by its names in small letters: INTER_NEAREST, INTER_LINEAR, INTER_AREA, INTER_CUBIC, INTER_LANCZOS4. */
export const INTERPOLATIONS = ['nearest', 'linear', 'area', 'cubic', 'lanczos4'] as const;
export type Interpolation = (typeof INTERPOLATIONS)[number];

/** Which inputs make each output along one axis: output i is Σ_t weights[i·taps + t] · input[indices[i·taps + t]]. */
interface Taps {
  readonly taps: number;
  readonly indices: Int32Array;
  readonly weights: Float64Array;
}

/** Cubic convolution (Keys 1981) with a = −0.75, as OpenCV has it. */
function cubic(distance: number): number {
  const a = -0.75;
  const t = Math.abs(distance);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

const sinc = (t: number): number => (t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t));

/** sinc(t)·sinc(t/4), |t| < 4; its eight samples are scaled to sum to 1. */
const lanczos4 = (t: number): number => (Math.abs(t) < 4 ? sinc(t) * sinc(t / 4) : 0);

/** Taps of a kernel centred on the input position of each output's centre; beyond the border the last pixel is repeated. */
function kernelTaps(from: number, to: number, radius: number, kernel: (distance: number) => number): Taps {
  const taps = 2 * radius;
  const indices = new Int32Array(to * taps);
  const weights = new Float64Array(to * taps);
  for (let i = 0; i < to; i++) {
    const center = ((i + 0.5) * from) / to - 0.5;
    const first = Math.floor(center) - radius + 1;
    let sum = 0;
    for (let t = 0; t < taps; t++) {
      indices[i * taps + t] = Math.min(from - 1, Math.max(0, first + t));
      sum += weights[i * taps + t] = kernel(center - (first + t));
    }
    for (let t = 0; t < taps; t++) weights[i * taps + t]! /= sum;
  }
  return { taps, indices, weights };
}

/** Shrinking by area: every output is the mean of the inputs it covers, those at its ends by the part covered. */
function coverTaps(from: number, to: number): Taps {
  const scale = from / to;
  const taps = Math.ceil(scale) + 1;
  const indices = new Int32Array(to * taps);
  const weights = new Float64Array(to * taps);
  for (let i = 0; i < to; i++) {
    const [low, high] = [i * scale, (i + 1) * scale];
    for (let t = 0; t < taps; t++) {
      const index = Math.floor(low) + t;
      indices[i * taps + t] = Math.min(from - 1, index);
      weights[i * taps + t] = Math.max(0, Math.min(high, index + 1) - Math.max(low, index)) / scale;
    }
  }
  return { taps, indices, weights };
}

/** Enlarging by area, as OpenCV has it: pixels stay flat and are mixed only where an output lies over the edge of two. */
function flatTaps(from: number, to: number): Taps {
  const indices = new Int32Array(to * 2);
  const weights = new Float64Array(to * 2);
  for (let i = 0; i < to; i++) {
    const first = Math.floor((i * from) / to);
    const over = Math.max(0, i + 1 - ((first + 1) * to) / from);
    const share = first >= from - 1 ? 0 : over - Math.floor(over);
    indices.set([first, Math.min(from - 1, first + 1)], i * 2);
    weights.set([1 - share, share], i * 2);
  }
  return { taps: 2, indices, weights };
}

function tapsOf(interpolation: Interpolation, from: number, to: number): Taps {
  switch (interpolation) {
    case 'nearest':
      return { taps: 1, indices: Int32Array.from({ length: to }, (_, i) => Math.floor((i * from) / to)), weights: new Float64Array(to).fill(1) };
    case 'linear':
      return kernelTaps(from, to, 1, (t) => Math.max(0, 1 - Math.abs(t)));
    case 'area':
      return to <= from ? coverTaps(from, to) : flatTaps(from, to);
    case 'cubic':
      return kernelTaps(from, to, 2, cubic);
    case 'lanczos4':
      return kernelTaps(from, to, 4, lanczos4);
  }
}

/** A rectangle of pixels. */
export interface Region {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Resamples a region as cv2.resize does: pixel centres at half coordinates, borders repeated, and no smoothing before
 * shrinking except by `area`. Float64 inside, rounded once.
 * @param pixels [rows, stride, 3].
 * @param stride Pixels of a row of the input.
 * @returns [toHeight, toWidth, 3].
 */
export function resample(pixels: Pixels, stride: number, region: Region, toHeight: number, toWidth: number, interpolation: Interpolation): Pixels {
  const { top, left, height, width } = region;
  const horizontal = tapsOf(interpolation, width, toWidth);
  const vertical = tapsOf(interpolation, height, toHeight);
  const rows = new Float64Array(height * toWidth * 3);
  for (let y = 0; y < height; y++) {
    const rowAt = ((top + y) * stride + left) * 3;
    for (let x = 0; x < toWidth; x++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let t = x * horizontal.taps; t < (x + 1) * horizontal.taps; t++) {
          sum += horizontal.weights[t]! * pixels[rowAt + horizontal.indices[t]! * 3 + channel]!;
        }
        rows[(y * toWidth + x) * 3 + channel] = sum;
      }
    }
  }
  const rowValues = toWidth * 3;
  const result = new Uint8Array(toHeight * rowValues);
  for (let y = 0; y < toHeight; y++) {
    for (let i = 0; i < rowValues; i++) {
      let sum = 0;
      for (let t = y * vertical.taps; t < (y + 1) * vertical.taps; t++) sum += vertical.weights[t]! * rows[vertical.indices[t]! * rowValues + i]!;
      result[y * rowValues + i] = toByte(sum);
    }
  }
  return result;
}

/**
 * Loses detail: shrinks to smallSide × smallSide and enlarges back (AdaFace, Kim et al., CVPR 2022).
 * @param smallSide From 1 to size; size changes nothing.
 */
export function lowerResolution(pixels: Pixels, size: number, smallSide: number, down: Interpolation, up: Interpolation): Pixels {
  if (smallSide >= size) return pixels;
  const small = resample(pixels, size, { top: 0, left: 0, height: size, width: size }, smallSide, smallSide, down);
  return resample(small, smallSide, { top: 0, left: 0, height: smallSide, width: smallSide }, size, size, up);
}
