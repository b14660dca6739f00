import { toByte, truncateByte, type Pixels } from './image.js';

/**
 * Brightness, contrast, saturation and hue as torchvision's ColorJitter changes uint8 tensors (torchvision.transforms.
 * functional): each result is cut, not rounded, to a byte; luma is 0.2989 R + 0.587 G + 0.114 B, cut too.
 */

const luma = (pixels: Pixels, at: number): number => truncateByte(0.2989 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!);

const blend = (value: number, other: number, factor: number): number => truncateByte(factor * value + (1 - factor) * other);

/** @param factor ≥ 0; 0 is black, 1 the image. */
export function adjustBrightness(pixels: Pixels, factor: number): Pixels {
  return factor === 1 ? pixels : pixels.map((value) => blend(value, 0, factor));
}

/** @param factor ≥ 0; 0 is the mean luma everywhere, 1 the image. */
export function adjustContrast(pixels: Pixels, factor: number): Pixels {
  if (factor === 1) return pixels;
  let sum = 0;
  for (let at = 0; at < pixels.length; at += 3) sum += luma(pixels, at);
  const mean = sum / (pixels.length / 3);
  return pixels.map((value) => blend(value, mean, factor));
}

/** @param factor ≥ 0; 0 is grey, 1 the image. */
export function adjustSaturation(pixels: Pixels, factor: number): Pixels {
  if (factor === 1) return pixels;
  const result = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 3) {
    const grey = luma(pixels, at);
    for (let i = at; i < at + 3; i++) result[i] = blend(pixels[i]!, grey, factor);
  }
  return result;
}

/** @param turn Shift of the hue as a share of the colour circle, in [−0.5, 0.5]; 0 is the image. */
export function adjustHue(pixels: Pixels, turn: number): Pixels {
  if (turn === 0) return pixels;
  const result = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 3) {
    const [r, g, b] = [pixels[at]! / 255, pixels[at + 1]! / 255, pixels[at + 2]! / 255];
    const value = Math.max(r, g, b);
    const spread = value - Math.min(r, g, b);
    const saturation = spread === 0 ? 0 : spread / value;
    const sector = hueSector(r, g, b, value, spread) + 6 * turn;
    const colour = fromHsv(sector - 6 * Math.floor(sector / 6), saturation, value);
    // torchvision's float to uint8: one part in a thousand below 256, cut.
    for (let channel = 0; channel < 3; channel++) result[at + channel] = truncateByte(colour[channel]! * 255.999);
  }
  return result;
}

/** Hue in sixths of the circle, [−1, 5]. */
function hueSector(r: number, g: number, b: number, value: number, spread: number): number {
  if (spread === 0) return 0;
  if (value === r) return (g - b) / spread;
  return value === g ? 2 + (b - r) / spread : 4 + (r - g) / spread;
}

/** @param sector Hue in [0, 6]. */
function fromHsv(sector: number, saturation: number, value: number): readonly [number, number, number] {
  const part = sector - Math.floor(sector);
  const p = value * (1 - saturation);
  const q = value * (1 - saturation * part);
  const t = value * (1 - saturation * (1 - part));
  switch (Math.floor(sector) % 6) {
    case 0:
      return [value, t, p];
    case 1:
      return [q, value, p];
    case 2:
      return [p, value, t];
    case 3:
      return [p, q, value];
    case 4:
      return [t, p, value];
    default:
      return [value, p, q];
  }
}

/** Grey in all three channels: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded. */
export function toGrey(pixels: Pixels): Pixels {
  const result = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 3) {
    result.fill(toByte(0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!), at, at + 3);
  }
  return result;
}
