import { KeyedRandom } from '../keyedRandom.js';
import { gaussianBlur } from './blur.js';
import { eraseRegion } from './erase.js';
import { ALIGNED_SIDE, toByte, type Pixels } from './image.js';
import { jpegArtefacts } from './jpeg.js';
import { drawMask, MASK_COLOURS, MASK_SHAPES, type MaskColour } from './mask.js';
import { lowerResolution } from './resample.js';

/** What is done to images to see when recognition fails, and how strongly at severities 1 to 5. */
export interface Corruption {
  /** What the strengths are, for tables. Pixels are those of a 112 × 112 image. */
  readonly unit: string;
  /** Of severities 1 to 5, rising in effect. Constant: figures are comparable over time. */
  readonly strengths: readonly [number, number, number, number, number];
}

export const CORRUPTIONS = {
  /** Gaussian blur. */
  blur: { unit: 'σ, pixels', strengths: [1, 2, 3, 4, 6] },
  /** Gaussian, independent for every value. */
  noise: { unit: 'σ, of 255', strengths: [10, 20, 35, 55, 80] },
  /** libjpeg's quality, chroma at half resolution. */
  jpeg: { unit: 'quality', strengths: [30, 18, 10, 5, 2] },
  /** All values times this, then noise of σ = 3 of 255, as a sensor leaves it. */
  'low light': { unit: 'exposure', strengths: [0.5, 0.3, 0.18, 0.1, 0.05] },
  /** Shrunk by area to this side and enlarged by cubic convolution. */
  'low resolution': { unit: 'side, pixels', strengths: [56, 36, 24, 16, 10] },
  /** A black square of this share of the image, anywhere inside. */
  occlusion: { unit: 'share of the area', strengths: [0.05, 0.1, 0.2, 0.3, 0.45] },
  /** A drawn mask, its upper edge at 1 the mouth, 0 the nose's tip, −0.6 its bridge; of any shape and colour. For aligned faces. */
  mask: { unit: 'upper edge', strengths: [0.7, 0.4, 0.1, -0.25, -0.6] },
} as const satisfies Record<string, Corruption>;

export type CorruptionName = keyof typeof CORRUPTIONS;
export const CORRUPTION_NAMES = Object.keys(CORRUPTIONS) as readonly CorruptionName[];
export const SEVERITIES = [1, 2, 3, 4, 5] as const;
export type Severity = (typeof SEVERITIES)[number];

const SENSOR_NOISE = 3;
const MASK_COLOUR_NAMES = Object.keys(MASK_COLOURS) as MaskColour[];

const addNoise = (pixels: Pixels, factor: number, sigma: number, random: KeyedRandom): Pixels =>
  Uint8Array.from(pixels, (value) => toByte(factor * value + sigma * random.normal(6)));

type Perform = (pixels: Pixels, size: number, strength: number, random: KeyedRandom) => Pixels | Promise<Pixels>;

const PERFORM: { readonly [Name in CorruptionName]: Perform } = {
  blur: (pixels, size, sigma) => gaussianBlur(pixels, size, (sigma * size) / ALIGNED_SIDE),
  noise: (pixels, _size, sigma, random) => addNoise(pixels, 1, sigma, random),
  jpeg: (pixels, size, quality) => jpegArtefacts(pixels, size, quality),
  'low light': (pixels, _size, exposure, random) => addNoise(pixels, exposure, SENSOR_NOISE, random),
  'low resolution': (pixels, size, side) => lowerResolution(pixels, size, Math.max(1, Math.round((side * size) / ALIGNED_SIDE)), 'area', 'cubic'),
  occlusion: (pixels, size, share, random) => {
    const side = Math.round(size * Math.sqrt(share));
    // The place is a share of the room there is, so that it stays put as the square grows.
    const [top, left] = [random.uniform(), random.uniform()].map((place) => Math.floor(place * (size - side + 1))) as [number, number];
    return eraseRegion(pixels, size, { top, left, height: side, width: side }, 'black', random);
  },
  mask: (pixels, size, top, random) =>
    drawMask(pixels, size, { shape: random.pick(MASK_SHAPES), colour: random.pick(MASK_COLOUR_NAMES), top, width: 1, shift: 0 }),
};

const STREAM = 0x636f7272;

/**
 * Corrupts one image. The draws are named by seed, corruption and key, not by the severity: the same noise grows, the same
 * square widens.
 * @param pixels RGB bytes [size, size, 3]; not written to.
 * @param key Of the image; equal keys give equal draws.
 */
export async function corruptImage(pixels: Pixels, size: number, name: CorruptionName, severity: Severity, seed: number, key: number): Promise<Pixels> {
  const random = new KeyedRandom(STREAM, seed, CORRUPTION_NAMES.indexOf(name), key);
  return PERFORM[name](pixels, size, CORRUPTIONS[name].strengths[severity - 1]!, random);
}

export interface CorruptJob {
  readonly name: CorruptionName;
  readonly severity: Severity;
  readonly seed: number;
  /** One an image. */
  readonly keys: readonly number[];
}

/** Corrupts [images, size, size, 3] in place. */
export async function corruptBatch(pixels: Pixels, size: number, { name, severity, seed, keys }: CorruptJob): Promise<void> {
  const imageBytes = size * size * 3;
  for (const [i, key] of keys.entries()) {
    const image = pixels.subarray(i * imageBytes, (i + 1) * imageBytes);
    pixels.set(await corruptImage(image, size, name, severity, seed, key), i * imageBytes);
  }
}
