import { describe, expect, it } from 'vitest';
import { augmentImage, AUGMENT_PRESET_NAMES, BatchLoader, resolvePlan, scanImageFolder, type AugmentPlan, type Batch, type BatchLoaderOptions, type ImageDataset } from '../../../dist/data/index.js';
import { OPERATION_DEFAULTS, OPERATIONS } from '../../../dist/data/augment/plan.js';
import { checkConfig, formatConfig } from '../../../dist/config/index.js';
import { parse } from 'yaml';
import { imageFolder } from '../fixtures.js';

const SIDE = 28;
/** Flat at the left, so that nothing can move or change without its being seen at the right. */
const image = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, i) => 40 + ((Math.floor(i / 3) % SIDE) * 5 + (i % 3) * 30 + Math.floor(i / 3 / SIDE) * 2) % 200);
const key = (position: number) => ({ seed: 5, epoch: 2, position });
const always = <Name extends keyof AugmentPlan>(name: Name): AugmentPlan => ({ [name]: { ...OPERATION_DEFAULTS[name], probability: 1 } });

describe('augmentImage', () => {
  it.each(OPERATIONS)('%s: the same for the same key, another for another, of the same size, input untouched', async (name) => {
    const before = image.slice();
    // As decodeImage gives it: the slice of a Buffer shares its memory.
    const buffer = Buffer.from(image);
    const results: Uint8Array[] = [];
    for (let position = 0; position < 12; position++) {
      const result = await augmentImage(image, SIDE, always(name), key(position));
      expect(result).toHaveLength(image.length);
      expect([...(await augmentImage(buffer, SIDE, always(name), key(position)))]).toEqual([...result]);
      results.push(result);
    }
    expect(image).toEqual(before);
    expect([...buffer]).toEqual([...before]);
    const different = new Set(results.map((result) => result.join()));
    if (name === 'grey') expect(different.size).toBe(1);
    else expect(different.size).toBeGreaterThan(5);
    expect(different.has(image.join()) && different.size === 1).toBe(false);
  });

  it('does each operation as often as its probability says, and nothing at probability 0', async () => {
    const flags = await Promise.all(
      Array.from({ length: 2000 }, async (_, i) => (await augmentImage(image, SIDE, { grey: { probability: 0.3 } }, key(i))) !== image),
    );
    // Binomial(2000, 0.3): standard deviation 20.5.
    expect(Math.abs(flags.filter(Boolean).length - 600)).toBeLessThan(82);
    const never = Object.fromEntries(OPERATIONS.map((name) => [name, { ...OPERATION_DEFAULTS[name], probability: 0 }]));
    for (let i = 0; i < 50; i++) expect(await augmentImage(image, SIDE, never, key(i))).toBe(image);
  });

  it('draws anew for another seed and epoch, and for each operation', async () => {
    const plan = always('photometric');
    const first = await augmentImage(image, SIDE, plan, key(3));
    expect(await augmentImage(image, SIDE, plan, { ...key(3), epoch: 3 })).not.toEqual(first);
    expect(await augmentImage(image, SIDE, plan, { ...key(3), seed: 6 })).not.toEqual(first);
    const done = async (position: number, plan: AugmentPlan) => (await augmentImage(image, SIDE, plan, key(position))) !== image;
    let together = 0;
    for (let i = 0; i < 200; i++) {
      const sigma = [1, 2] as const;
      if ((await done(i, { grey: { probability: 0.5 } })) === (await done(i, { blur: { probability: 0.5, sigma } }))) together++;
    }
    // Binomial(200, 0.5): standard deviation 7.1.
    expect(Math.abs(together - 100)).toBeLessThan(29);
  });

  it('draws the strengths of one operation whatever the others do', async () => {
    const erase = { ...OPERATION_DEFAULTS.erase, probability: 1, fill: 'black' as const };
    const blank = (pixels: Uint8Array) => pixels.map((value) => (value === 0 ? 0 : 1)).join();
    for (let i = 0; i < 20; i++) {
      const alone = await augmentImage(image, SIDE, { erase }, key(i));
      const photometric = { probability: 1, brightness: [0.8, 1], contrast: [1, 1], saturation: [1, 1], hue: [0, 0] } as const;
      expect(blank(await augmentImage(image, SIDE, { photometric, erase }, key(i)))).toBe(blank(alone));
    }
  });

  it('keeps strengths in their ranges', async () => {
    const flat = new Uint8Array(SIDE * SIDE * 3).fill(100);
    const shares: number[] = [];
    const levels: number[] = [];
    for (let i = 0; i < 300; i++) {
      const erased = await augmentImage(flat, SIDE, { erase: { probability: 1, area: [0.1, 0.2], aspect: [0.5, 2], fill: 'black' } }, key(i));
      shares.push(erased.filter((value) => value === 0).length / erased.length);
      const brightness: AugmentPlan = { photometric: { probability: 1, brightness: [0.5, 1.5], contrast: [1, 1], saturation: [1, 1], hue: [0, 0] } };
      levels.push((await augmentImage(flat, SIDE, brightness, key(i)))[0]!);
    }
    // Whole pixels: a side of 9 may be off by half.
    expect(Math.min(...shares)).toBeGreaterThan(0.08);
    expect(Math.max(...shares)).toBeLessThan(0.225);
    expect(Math.max(...shares) - Math.min(...shares)).toBeGreaterThan(0.08);
    expect(Math.min(...levels)).toBeGreaterThanOrEqual(50);
    expect(Math.min(...levels)).toBeLessThan(53);
    expect(Math.max(...levels)).toBeLessThanOrEqual(150);
    expect(Math.max(...levels)).toBeGreaterThan(147);
  });

  it('crops as AdaFace does: at least a fifth stays, in its place, on black', async () => {
    const { crop } = resolvePlan({}, 'adaface');
    for (let i = 0; i < 60; i++) {
      const result = await augmentImage(image, SIDE, { crop: { ...crop!, probability: 1 } }, key(i));
      const kept = result.filter((value) => value !== 0).length / result.length;
      expect(kept).toBeGreaterThan(0.17);
      expect(result.every((value, at) => value === 0 || value === image[at])).toBe(true);
    }
  });

  it.each([1, 2, 16])('takes images of %i pixels', async (side) => {
    const tiny = new Uint8Array(side * side * 3).fill(7);
    for (const name of OPERATIONS) {
      for (let i = 0; i < 5; i++) expect(await augmentImage(tiny, side, always(name), key(i))).toHaveLength(tiny.length);
    }
  });
});

describe('data.augment', () => {
  const augmentOf = (augment: unknown) => checkConfig({ name: 'a', data: { root: 'x', augment } }, 'test').data.augment;

  it('resolves a preset, changes of it, and defaults; what is saved reads back the same', () => {
    for (const preset of AUGMENT_PRESET_NAMES) expect(augmentOf(preset)).toEqual(resolvePlan({}, preset));
    expect(augmentOf({ preset: 'adaface', crop: { probability: 0.5 }, grey: {} })).toEqual(
      resolvePlan({ crop: { probability: 0.5 }, grey: {} }, 'adaface'),
    );
    expect(augmentOf({ crop: {} })).toEqual({ crop: OPERATION_DEFAULTS.crop });
    expect(augmentOf(undefined)).toBeUndefined();
    const config = checkConfig({ name: 'a', data: { root: 'x', augment: 'robust' } }, 'test');
    expect(checkConfig(parse(formatConfig(config)), 'test')).toEqual(config);
  });

  it('has the published numbers in its presets', () => {
    expect(resolvePlan({}, 'adaface')).toMatchObject({
      crop: { probability: 0.2, mode: 'pad', area: [0.2, 1] },
      lowResolution: { probability: 0.2, scale: [0.2, 1] },
      photometric: { probability: 0.2, brightness: [0.5, 1.5], contrast: [0.5, 1.5], saturation: [0.5, 1.5], hue: [0, 0] },
    });
    expect(resolvePlan({}, 'facex-zoo')).toMatchObject({ rotate: { probability: 0.5, degrees: [-10, 10] }, grey: { probability: 0.2 } });
  });

  it.each([
    ['adafce', 'data.augment: expected one of adaface, arcface-torch-dali, facex-zoo, robust, received "adafce"; did you mean adaface?'],
    [{ preset: 'nothing' }, 'data.augment.preset: expected one of'],
    [{ crp: {} }, 'data.augment.crp: no such key; did you mean data.augment.crop?'],
    [{ crop: { propability: 1 } }, 'data.augment.crop.propability: no such key; did you mean data.augment.crop.probability?'],
    [{ crop: { probability: 2 } }, 'data.augment.crop.probability: expected a number in [0, 1], received 2'],
    [{ crop: { area: [0.9, 0.2] } }, 'data.augment.crop.area: expected [low, high] with 0 < low ≤ high ≤ 1, received [0.9,0.2]'],
    [{ crop: { area: 0.5 } }, 'data.augment.crop.area: expected [low, high]'],
    [{ crop: { mode: 'padd' } }, 'did you mean pad?'],
    [{ lowResolution: { interpolations: ['bilinear'] } }, 'expected a list of nearest'],
    [{ preset: 'adaface', crop: 5 }, 'data.augment.crop: expected a section of keys, received 5'],
    [7, 'data.augment: expected a section of keys, received 7'],
  ])('refuses %j', (augment, message) => {
    expect(() => augmentOf(augment)).toThrow(message);
  });
});

describe('BatchLoader with augment', () => {
  const augment = resolvePlan({ photometric: { probability: 1 }, jpeg: { probability: 0.5 } }, 'robust');
  let dataset: ImageDataset;

  async function take(count: number, options: Partial<BatchLoaderOptions> = {}): Promise<Batch[]> {
    dataset ??= scanImageFolder(await imageFolder(3, 4));
    const loader = new BatchLoader({ dataset, batchSize: 5, imageSize: 16, seed: 3, workers: 1, augment, ...options });
    try {
      const batches = [];
      for (let i = 0; i < count; i++) batches.push(await loader.next());
      return batches;
    } finally {
      await loader.close();
    }
  }

  it('gives the same batches with any number of threads, prefetch and cache, and goes on as if never stopped', async () => {
    const whole = await take(7);
    for (const options of [{ workers: 2, prefetch: 7 }, { prefetch: 1, cacheDecoded: 0 }]) {
      expect(await take(7, options)).toEqual(whole);
    }
    const resume = { epoch: 1, position: 1, seed: 3, batchSize: 5, samples: 12 };
    expect(await take(4, { resume })).toEqual(whole.slice(3));
    expect(await take(7, { seed: 4 })).not.toEqual(whole);
  });

  it('augments images as they were decoded in every epoch, not as they were augmented before', async () => {
    const plain = await take(4, { augment: undefined, flip: false });
    // Nothing piles up in the cache: brightness halved four times over would show.
    const dim = resolvePlan({ photometric: { probability: 1, brightness: [0.5, 0.5], contrast: [1, 1], saturation: [1, 1] } });
    for (const [b, { images }] of (await take(4, { flip: false, augment: dim })).entries()) {
      const bytes = (values: Float32Array) => Array.from(values, (value) => Math.round((value * 0.5 + 0.5) * 255));
      expect(bytes(images)).toEqual(bytes(plain[b]!.images).map((value) => Math.floor(value / 2)));
    }
  });

  it('does what augmentImage does at the position of each image', async () => {
    const plain = await take(3, { augment: undefined, flip: false });
    const [, second, third] = await take(3, { flip: false });
    for (const [batch, at] of [[second!, 5], [third!, 0]] as const) {
      const decoded = plain[at === 5 ? 1 : 2]!;
      for (let i = 0; i < 5; i++) {
        const bytes = Uint8Array.from(decoded.images.subarray(i * 768, (i + 1) * 768), (value) => Math.round((value * 0.5 + 0.5) * 255));
        const expected = await augmentImage(bytes, 16, augment, { seed: 3, epoch: batch.epoch, position: at + i });
        expect(batch.images.subarray(i * 768, (i + 1) * 768)).toEqual(Float32Array.from(expected, (value) => (value / 255 - 0.5) / 0.5));
      }
    }
  });
});
