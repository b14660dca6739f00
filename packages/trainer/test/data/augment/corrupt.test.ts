import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { corruptImage, CORRUPTION_NAMES, CORRUPTIONS, SEVERITIES, type CorruptionName, type Severity } from '../../../dist/data/index.js';
import { crc32c } from '../../../dist/metrics/crc32c.js';

/** reference/make_corrupted.py. */
const expected = JSON.parse(readFileSync(new URL('reference/corrupted.json', import.meta.url), 'utf8')) as {
  side: number;
  image: number[];
} & Record<'blur' | 'low resolution', number[][]>;
const SIDE = expected.side;
const image = Uint8Array.from(expected.image);
const grey = new Uint8Array(SIDE * SIDE * 3).fill(120);
const corrupt = (name: CorruptionName, severity: Severity, from = image, key = 5, seed = 1) => corruptImage(from, SIDE, name, severity, seed, key);
const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
const allSeverities = async (name: CorruptionName, from = image) => Promise.all(SEVERITIES.map((severity) => corrupt(name, severity, from)));

describe('corruptions', () => {
  it('have these strengths, for good: figures of years must compare', () => {
    expect(CORRUPTIONS).toEqual({
      blur: { unit: 'σ, pixels', strengths: [1, 2, 3, 4, 6] },
      noise: { unit: 'σ, of 255', strengths: [10, 20, 35, 55, 80] },
      jpeg: { unit: 'quality', strengths: [30, 18, 10, 5, 2] },
      'low light': { unit: 'exposure', strengths: [0.5, 0.3, 0.18, 0.1, 0.05] },
      'low resolution': { unit: 'side, pixels', strengths: [56, 36, 24, 16, 10] },
      occlusion: { unit: 'share of the area', strengths: [0.05, 0.1, 0.2, 0.3, 0.45] },
      mask: { unit: 'upper edge', strengths: [0.7, 0.4, 0.1, -0.25, -0.6] },
    });
  });

  it.each(['blur', 'low resolution'] as const)('%s as NumPy has it', async (name) => {
    for (const [i, pixels] of (await allSeverities(name)).entries()) {
      expect([...pixels]).toEqual(expected[name][i]);
    }
  });

  /** CRC-32C of severities 1 to 5. JPEG is missing: its bytes are those of the installed libvips. */
  const GOLDEN: Partial<Record<CorruptionName, number[]>> = {
    noise: [1529005862, 4263173400, 1936772562, 1287638769, 587418493],
    'low light': [227927967, 2440934415, 530355492, 3465727828, 1145230445],
    occlusion: [550700003, 4049376426, 1984377788, 3537192753, 2149486163],
    mask: [3782934634, 1110414317, 4042464037, 177248926, 1541146049],
  };
  it.each(Object.entries(GOLDEN) as [CorruptionName, number[]][])('%s gives the same bytes as ever', async (name, checksums) => {
    expect((await allSeverities(name)).map((pixels) => crc32c(pixels))).toEqual(checksums);
  });

  it('noise has its standard deviation and no mean; low light has its exposure', async () => {
    for (const [i, pixels] of (await allSeverities('noise', grey)).slice(0, 3).entries()) {
      const deviation = Math.sqrt(mean(Array.from(pixels, (value) => (value - 120) ** 2)));
      // 2352 values: the deviation's own is 1.5 %, a mean's 0.02 σ.
      expect(deviation / CORRUPTIONS.noise.strengths[i]!).toBeCloseTo(1, 1);
      expect(Math.abs(mean(pixels) - 120) / CORRUPTIONS.noise.strengths[i]!).toBeLessThan(0.1);
    }
    for (const [i, pixels] of (await allSeverities('low light', grey)).entries()) {
      expect(Math.abs(mean(pixels) - 120 * CORRUPTIONS['low light'].strengths[i]!)).toBeLessThan(0.5);
    }
  });

  it('an occlusion covers its share, and grows in its place', async () => {
    let inside: Uint8Array | undefined;
    for (const [i, pixels] of (await allSeverities('occlusion', grey)).entries()) {
      const black = pixels.map((value) => Number(value === 0));
      expect(Math.abs(mean(black) - CORRUPTIONS.occlusion.strengths[i]!)).toBeLessThan(0.03);
      if (inside !== undefined) expect(inside.reduce((sum, value, at) => sum + value * black[at]!, 0) / (3 * SIDE)).toBeGreaterThan(1);
      inside = black;
    }
  });

  it.each(CORRUPTION_NAMES)('%s: worse with severity, by the key, input untouched', async (name) => {
    const before = image.slice();
    const results = await allSeverities(name);
    expect(image).toEqual(before);
    const errors = results.map((pixels) => mean(Array.from(pixels, (value, at) => (value - image[at]!) ** 2)));
    expect(errors).toEqual(errors.slice().sort((a, b) => a - b));
    // The weakest blur of a face of 28 pixels moves no byte by half.
    expect(errors[1]).toBeGreaterThan(0);
    expect(await corrupt(name, 3, Buffer.from(image))).toEqual(results[2]);
    const drawn = ['noise', 'low light', 'occlusion', 'mask'].includes(name);
    const others = await Promise.all([6, 7, 8, 9].map((key) => corrupt(name, 3, image, key)));
    expect(others.some((other) => crc32c(other) !== crc32c(results[2]!))).toBe(drawn);
    const seeds = await Promise.all([2, 3, 4, 5].map((seed) => corrupt(name, 3, image, 5, seed)));
    expect(seeds.some((other) => crc32c(other) !== crc32c(results[2]!))).toBe(drawn);
  });
});
