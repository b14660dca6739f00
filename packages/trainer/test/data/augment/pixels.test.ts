import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  adjustBrightness,
  adjustContrast,
  adjustHue,
  adjustSaturation,
  cropPad,
  cropResize,
  drawMask,
  eraseRegion,
  flipImage,
  gaussianBlur,
  INTERPOLATIONS,
  jpegArtefacts,
  KeyedRandom,
  lowerResolution,
  MASK_COLOURS,
  MASK_SHAPES,
  resample,
  rotateImage,
  toGrey,
  type Interpolation,
} from '../../../dist/data/index.js';
import { polygonCoverage } from '../../../dist/data/augment/polygon.js';

interface Case {
  pixels: number[];
  factor: number;
  sigma: number;
  degrees: number;
  about: 'centre' | 'corner';
  kind: Interpolation;
  rows: number;
  columns: number;
}
type Name = 'resize' | 'blur' | 'rotate' | 'brightness' | 'contrast' | 'saturation' | 'hue';

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`reference/${name}.json`, import.meta.url), 'utf8'));
/** reference/make_expected.py: NumPy in float64. */
const expected = read('expected') as Record<Name, Case[]> & {
  side: number;
  image: number[];
  flip: number[];
  grey: number[];
  crop: { top: number; left: number; height: number; width: number; pixels: number[] };
  coverage: { points: [number, number][]; share: number[] };
};
/** reference/make_library.py: OpenCV and torchvision. */
const library = read('library') as Record<Name, number[][]> & { grey: number[] };
const size = expected.side;
const image = Uint8Array.from(expected.image);
const whole = { top: 0, left: 0, height: size, width: size };

const OPERATIONS: Record<Name, (options: Case) => Uint8Array> = {
  resize: ({ kind, rows, columns }) => resample(image, size, whole, rows, columns, kind),
  blur: ({ sigma }) => gaussianBlur(image, size, sigma),
  rotate: ({ degrees, about }) => rotateImage(image, size, degrees, about),
  brightness: ({ factor }) => adjustBrightness(image, factor),
  contrast: ({ factor }) => adjustContrast(image, factor),
  saturation: ({ factor }) => adjustSaturation(image, factor),
  hue: ({ factor }) => adjustHue(image, factor),
};
const NAMES = Object.keys(OPERATIONS) as Name[];

/** Values that differ by one, at places where rounding may go either way; none may differ by more. */
function countDifferences(received: Uint8Array, wanted: readonly number[]): number {
  expect(received).toHaveLength(wanted.length);
  const differences = Array.from(received, (value, i) => Math.abs(value - wanted[i]!));
  const worst = differences.findIndex((difference) => difference > 1);
  expect(worst, `value ${worst}: ${received[worst]}, expected ${wanted[worst]}`).toBe(-1);
  return differences.filter((difference) => difference === 1).length;
}

describe('against NumPy in float64', () => {
  it.each(NAMES)('%s', (name) => {
    for (const options of expected[name]) {
      const { pixels, ...parameters } = options;
      // Sums in another order may fall on the other side of a half.
      expect(countDifferences(OPERATIONS[name](options), pixels), JSON.stringify(parameters)).toBeLessThanOrEqual(2);
    }
  });

  it('flip, grey and crop', () => {
    expect([...flipImage(image, size)]).toEqual(expected.flip);
    expect([...toGrey(image)]).toEqual(expected.grey);
    expect(countDifferences(cropResize(image, size, expected.crop), expected.crop.pixels)).toBeLessThanOrEqual(2);
  });

  it('coverage of a polygon that leaves the image', () => {
    const { points, share } = expected.coverage;
    const coverage = polygonCoverage(points, size);
    // Four lines a pixel against 64 × 64 points.
    for (const [i, value] of coverage.entries()) expect(Math.abs(value - share[i]!), `pixel ${i}`).toBeLessThan(0.13);
    const total = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);
    expect(total(coverage)).toBeCloseTo(total(share), 0);
  });
});

/** Largest share of values that may differ by one from a library that rounds differently inside. */
const SHARE: Partial<Record<Name, number>> = { resize: 0.13, brightness: 0.04, saturation: 0.02 };

describe('against OpenCV and torchvision', () => {
  it.each(NAMES)('%s', (name) => {
    for (const [i, options] of expected[name].entries()) {
      const { pixels, ...parameters } = options;
      const differing = countDifferences(OPERATIONS[name](options), library[name][i]!);
      expect(differing / pixels.length, JSON.stringify(parameters)).toBeLessThanOrEqual(SHARE[name] ?? 0.005);
    }
  });

  it('grey', () => expect(countDifferences(toGrey(image), library.grey)).toBe(0));
});

describe('at zero strength', () => {
  it('every operation gives the image back', () => {
    const results = [
      gaussianBlur(image, size, 0),
      rotateImage(image, size, 0, 'corner'),
      adjustBrightness(image, 1),
      adjustContrast(image, 1),
      adjustSaturation(image, 1),
      adjustHue(image, 0),
      cropPad(image, size, whole),
      cropResize(image, size, whole),
      eraseRegion(image, size, { ...whole, height: 0 }, 'black', new KeyedRandom(1)),
      ...INTERPOLATIONS.flatMap((kind) => [lowerResolution(image, size, size, kind, kind), resample(image, size, whole, size, size, kind)]),
      flipImage(flipImage(image, size), size),
      rotateImage(rotateImage(rotateImage(rotateImage(image, size, 90, 'centre'), size, 90, 'centre'), size, 90, 'centre'), size, 90, 'centre'),
    ];
    for (const result of results) expect(result).toEqual(image);
    expect([...image]).toEqual(expected.image);
  });
});

describe('crop and erase', () => {
  const region = { top: 2, left: 5, height: 9, width: 6 };
  const inside = (i: number): boolean => {
    const [row, column] = [Math.floor(i / 3 / size), Math.floor(i / 3) % size];
    return row >= 2 && row < 11 && column >= 5 && column < 11;
  };

  it('pad keeps the region and blackens the rest', () => {
    expect(cropPad(image, size, region)).toEqual(image.map((value, i) => (inside(i) ? value : 0)));
  });

  it('erase covers the region and keeps the rest', () => {
    const mean = [0, 1, 2].map((c) => Math.round(image.filter((_, i) => i % 3 === c).reduce((a, b) => a + b, 0) / size ** 2));
    expect(eraseRegion(image, size, region, 'black', new KeyedRandom(1))).toEqual(image.map((value, i) => (inside(i) ? 0 : value)));
    expect(eraseRegion(image, size, region, 'mean', new KeyedRandom(1))).toEqual(image.map((value, i) => (inside(i) ? mean[i % 3]! : value)));
    const noise = eraseRegion(image, size, region, 'noise', new KeyedRandom(1));
    expect(noise.filter((_, i) => !inside(i))).toEqual(image.filter((_, i) => !inside(i)));
    const values = noise.filter((_, i) => inside(i));
    expect(new Set(values).size).toBeGreaterThan(80);
  });
});

describe('mask', () => {
  const side = 112;
  const face = new Uint8Array(side * side * 3).fill(100);
  const changed = (pixels: Uint8Array, x: number, y: number): boolean => pixels[(y * side + x) * 3 + 2] !== 100;

  it.each(MASK_SHAPES)('%s covers mouth and nose, not the eyes, and is alike on both sides', (shape) => {
    const masked = drawMask(face, side, { shape, colour: 'blue', top: -0.3, width: 1, shift: 0 });
    // ArcFace's template: eyes, nose, corners of the mouth.
    for (const [x, y] of [[38, 51], [73, 51]] as const) expect(changed(masked, x, y)).toBe(false);
    for (const [x, y] of [[56, 72], [42, 92], [70, 92], [56, 108]] as const) expect(changed(masked, x, y)).toBe(true);
    expect(changed(masked, 2, 92)).toBe(false);
    const row = (x: number) => masked[(90 * side + x) * 3]!;
    for (let x = 0; x < 50; x++) expect(Math.abs(row(55 - x) - row(56 + x))).toBeLessThanOrEqual(6);
  });

  it('rises with its upper edge, scales with the image and is as bright as its colour', () => {
    const covered = (top: number) => drawMask(face, side, { shape: 'cloth', colour: 'black', top, width: 1, shift: 0 }).filter((value) => value !== 100).length;
    const areas = [0.8, 0.4, 0, -0.4, -0.8].map(covered);
    expect(areas).toEqual(areas.slice().sort((a, b) => a - b));
    expect(areas[4]! / areas[0]!).toBeGreaterThan(1.4);
    const half = drawMask(new Uint8Array(56 * 56 * 3).fill(100), 56, { shape: 'cloth', colour: 'black', top: 0, width: 1, shift: 0 });
    expect((half.filter((value) => value !== 100).length * 4) / areas[2]!).toBeCloseTo(1, 1);
    for (const [colour, rgb] of Object.entries(MASK_COLOURS)) {
      const middle = drawMask(face, side, { shape: 'surgical', colour: colour as 'blue', top: 0, width: 1, shift: 0 }).subarray((92 * side + 56) * 3, (92 * side + 56) * 3 + 3);
      for (const [c, value] of middle.entries()) expect(value / rgb[c]!).toBeGreaterThan(0.9);
    }
  });
});

it('JPEG artefacts grow as the quality falls, and are the same every time', async () => {
  const smooth = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (128 + 100 * Math.sin(i / 29) * Math.cos(i / 7)) | 0);
  const error = async (quality: number) => {
    const pixels = await jpegArtefacts(smooth, 32, quality);
    expect(pixels).toHaveLength(smooth.length);
    expect(await jpegArtefacts(smooth, 32, quality)).toEqual(pixels);
    return pixels.reduce((sum, value, i) => sum + Math.abs(value - smooth[i]!), 0) / pixels.length;
  };
  const [poor, fair, good] = [await error(5), await error(40), await error(95)];
  expect(poor).toBeGreaterThan(fair);
  expect(fair).toBeGreaterThan(good);
});
