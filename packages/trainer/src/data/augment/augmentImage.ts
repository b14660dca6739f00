import { KeyedRandom } from '../keyedRandom.js';
import { gaussianBlur } from './blur.js';
import { eraseRegion } from './erase.js';
import { cropPad, cropResize, drawRegion, rotateImage } from './geometry.js';
import { ALIGNED_SIDE, type Pixels } from './image.js';
import { jpegArtefacts } from './jpeg.js';
import { drawMask, MASK_COLOURS, MASK_SHAPES, type MaskColour } from './mask.js';
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation, toGrey } from './photometric.js';
import { OPERATIONS, type AugmentPlan, type Operation } from './plan.js';
import { lowerResolution, type Region } from './resample.js';

type Step<Name extends Operation> = (
  pixels: Pixels,
  size: number,
  options: Required<AugmentPlan>[Name],
  random: KeyedRandom,
) => Pixels | Promise<Pixels>;

const MASK_COLOUR_NAMES = Object.keys(MASK_COLOURS) as MaskColour[];

/** Draws the strength of each operation and performs it. */
const STEPS: { readonly [Name in Operation]: Step<Name> } = {
  mask: (pixels, size, { top }, random) =>
    drawMask(pixels, size, {
      shape: random.pick(MASK_SHAPES),
      colour: random.pick(MASK_COLOUR_NAMES),
      top: random.uniform(...top),
      width: random.uniform(0.95, 1.08),
      shift: random.uniform(-2, 2),
    }),
  crop: (pixels, size, { mode, area, aspect }, random) => {
    const region = drawRegion(random, size, area, aspect);
    if (region === undefined) return pixels;
    return mode === 'pad' ? cropPad(pixels, size, region) : cropResize(pixels, size, region);
  },
  trim: (pixels, size, { share }, random) => {
    const [top, left, bottom, right] = Array.from({ length: 4 }, () => Math.round(random.uniform(...share) * size)) as [number, number, number, number];
    const region: Region = { top, left, height: Math.max(1, size - top - bottom), width: Math.max(1, size - left - right) };
    return cropResize(pixels, size, region);
  },
  rotate: (pixels, size, { degrees, about }, random) => rotateImage(pixels, size, random.uniform(...degrees), about),
  lowResolution: (pixels, size, { scale, interpolations }, random) => {
    const smallSide = Math.max(1, Math.trunc(random.uniform(...scale) * size));
    return lowerResolution(pixels, size, smallSide, random.pick(interpolations), random.pick(interpolations));
  },
  photometric: (pixels, _size, { brightness, contrast, saturation, hue }, random) => {
    const changes = [
      [adjustBrightness, random.uniform(...brightness)],
      [adjustContrast, random.uniform(...contrast)],
      [adjustSaturation, random.uniform(...saturation)],
      [adjustHue, random.uniform(...hue)],
    ] as const;
    return random.shuffle([...changes]).reduce((image, [change, strength]) => change(image, strength), pixels);
  },
  grey: (pixels) => toGrey(pixels),
  blur: (pixels, size, { sigma }, random) => gaussianBlur(pixels, size, (random.uniform(...sigma) * size) / ALIGNED_SIDE),
  jpeg: (pixels, size, { quality }, random) => jpegArtefacts(pixels, size, Math.round(random.uniform(...quality))),
  erase: (pixels, size, { area, aspect, fill }, random) => {
    const region = drawRegion(random, size, area, aspect);
    return region === undefined ? pixels : eraseRegion(pixels, size, region, fill, random);
  },
};

/** Sets the stream apart from those of the order and the mirroring. */
const STREAM = 0x617567;

/** What names an image's draws: equal keys give equal draws, whatever was drawn before. */
export interface AugmentKey {
  readonly seed: number;
  readonly epoch: number;
  /** In the epoch. */
  readonly position: number;
}

async function perform<Name extends Operation>(name: Name, pixels: Pixels, size: number, plan: AugmentPlan, key: AugmentKey): Promise<Pixels> {
  const options = plan[name] as Required<AugmentPlan>[Name] | undefined;
  if (options === undefined) return pixels;
  // A stream an operation: changing one of them changes no other's draws.
  const random = new KeyedRandom(STREAM, key.seed, key.epoch, key.position, OPERATIONS.indexOf(name));
  return random.chance(options.probability) ? await STEPS[name](pixels, size, options, random) : pixels;
}

/**
 * Augments one image as planned.
 * @param pixels RGB bytes [size, size, 3]; not written to.
 * @returns the same shape; the input itself where nothing was done.
 */
export async function augmentImage(pixels: Pixels, size: number, plan: AugmentPlan, key: AugmentKey): Promise<Pixels> {
  let image = pixels;
  for (const name of OPERATIONS) image = await perform(name, image, size, plan, key);
  return image;
}

/** Images of one batch, and what names their draws. */
export interface AugmentJob {
  readonly plan: AugmentPlan;
  readonly seed: number;
  readonly epoch: number;
  /** Position in the epoch of the first image; the others follow. */
  readonly position: number;
}

/** Augments [images, size, size, 3] in place. */
export async function augmentBatch(pixels: Pixels, size: number, { plan, seed, epoch, position }: AugmentJob): Promise<void> {
  const imageBytes = size * size * 3;
  for (let i = 0; i * imageBytes < pixels.length; i++) {
    const at = i * imageBytes;
    const image = pixels.subarray(at, at + imageBytes);
    const augmented = await augmentImage(image, size, plan, { seed, epoch, position: position + i });
    if (augmented !== image) pixels.set(augmented, at);
  }
}
