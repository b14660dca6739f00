import { toByte, type Pixels } from './image.js';

/** Weights of offsets −radius … radius, radius = ⌈3σ⌉, summing to 1. */
function gaussian(sigma: number): Float64Array {
  const radius = Math.ceil(3 * sigma);
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / sigma) ** 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Mirrors an index at the border pixels without repeating them: −1 is 1, size is size − 2. */
function reflect(index: number, size: number): number {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const inside = ((index % period) + period) % period;
  return inside < size ? inside : period - inside;
}

/**
 * Gaussian blur of standard deviation `sigma` pixels, cut at 3σ, mirrored at the borders. Float64 inside, rounded once.
 * @param sigma Pixels, ≥ 0; 0 is the image.
 */
export function gaussianBlur(pixels: Pixels, size: number, sigma: number): Pixels {
  if (sigma === 0) return pixels;
  const weights = gaussian(sigma);
  const radius = (weights.length - 1) / 2;
  const around = Int32Array.from({ length: size + 2 * radius }, (_, i) => reflect(i - radius, size));
  const rows = new Float64Array(pixels.length);
  const result = new Uint8Array(pixels.length);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let t = 0; t < weights.length; t++) sum += weights[t]! * pixels[(row * size + around[column + t]!) * 3 + channel]!;
        rows[(row * size + column) * 3 + channel] = sum;
      }
    }
  }
  for (let row = 0; row < size; row++) {
    for (let i = 0; i < size * 3; i++) {
      let sum = 0;
      for (let t = 0; t < weights.length; t++) sum += weights[t]! * rows[around[row + t]! * size * 3 + i]!;
      result[row * size * 3 + i] = toByte(sum);
    }
  }
  return result;
}
