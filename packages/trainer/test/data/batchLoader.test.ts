import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { BatchLoader, createImageLoader, decodeImage, loadImages, scanImageFolder } from '../../dist/data/index.js';
import type { Batch, BatchLoaderOptions, ImageFolder } from '../../dist/data/index.js';
import { imageFolder, picture } from './fixtures.js';

const SIZE = 16;
let dataset: ImageFolder;
beforeAll(async () => {
  dataset = scanImageFolder(await imageFolder(5, 4));
});

async function take(count: number, options: Partial<BatchLoaderOptions> = {}): Promise<Batch[]> {
  const loader = new BatchLoader({ dataset, batchSize: 6, imageSize: SIZE, seed: 7, workers: 1, ...options });
  try {
    const batches = [];
    for (let i = 0; i < count; i++) batches.push(await loader.next());
    return batches;
  } finally {
    await loader.close();
  }
}

const mirror = (image: Float32Array): Float32Array =>
  image.map((_, i) => {
    const [row, column, channel] = [Math.floor(i / (3 * SIZE)), Math.floor(i / 3) % SIZE, i % 3];
    return image[(row * SIZE + (SIZE - 1 - column)) * 3 + channel]!;
  });

describe('BatchLoader', () => {
  it('gives each image once an epoch, with its label and its pixels, mirrored about half of the time', async () => {
    const epoch = await take(4, { dropLast: false });
    const indices = epoch.flatMap((batch) => [...batch.indices]);
    expect(indices.slice().sort((a, b) => a - b)).toEqual([...dataset.samples.keys()]);
    expect(epoch.map((batch) => batch.labels.length)).toEqual([6, 6, 6, 2]);
    let mirrored = 0;
    for (const { images, labels, indices: batchIndices } of epoch) {
      expect(images).toHaveLength(labels.length * SIZE * SIZE * 3);
      for (const [i, index] of batchIndices.entries()) {
        const { path, label } = dataset.samples[index]!;
        expect(labels[i]).toBe(label);
        const pixels = await decodeImage(join(dataset.root, path), SIZE);
        const expected = Float32Array.from(pixels, (value) => (value / 255 - 0.5) / 0.5);
        const image = images.slice(i * expected.length, (i + 1) * expected.length);
        const isMirrored = image[0]! > image[(SIZE - 1) * 3]!;
        if (isMirrored) mirrored++;
        expect(image).toEqual(isMirrored ? mirror(expected) : expected);
      }
    }
    expect(mirrored).toBeGreaterThan(3);
    expect(mirrored).toBeLessThan(17);
  });

  it('never mirrors without flip', async () => {
    const [batch] = await take(1, { flip: false });
    for (let i = 0; i < 6; i++) {
      const at = i * SIZE * SIZE * 3;
      expect(batch!.images[at]).toBeLessThan(batch!.images[at + (SIZE - 1) * 3]!);
    }
  });

  it('gives the same batches with any number of threads, prefetch and cache', async () => {
    const expected = await take(8);
    for (const options of [{ workers: 3 }, { prefetch: 1 }, { cacheDecoded: 0 }, { workers: 2, prefetch: 9, cacheDecoded: 0 }]) {
      expect(await take(8, options)).toEqual(expected);
    }
    expect(await take(8, { seed: 8 })).not.toEqual(expected);
  });

  it('shuffles every epoch anew', async () => {
    const batches = await take(6);
    expect(batches.map(({ epoch }) => epoch)).toEqual([0, 0, 0, 1, 1, 1]);
    const order = (from: number) => batches.slice(from, from + 3).flatMap(({ indices }) => [...indices]);
    expect(order(0)).not.toEqual(order(3));
  });

  it.each([1, 3, 7])('goes on after %i batches as if never stopped', async (stop) => {
    const whole = await take(9);
    const first = new BatchLoader({ dataset, batchSize: 6, imageSize: SIZE, seed: 7, workers: 2 });
    for (let i = 0; i < stop; i++) await first.next();
    const resume = JSON.parse(JSON.stringify(first.state())) as ReturnType<BatchLoader['state']>;
    await first.close();
    expect(resume).toMatchObject({ epoch: Math.floor(stop / 3), position: stop % 3 });
    expect(await take(9 - stop, { resume })).toEqual(whole.slice(stop));
  });

  it('refuses the state of another run', async () => {
    const state = { epoch: 0, position: 0, seed: 7, batchSize: 6, samples: 20 };
    for (const resume of [{ ...state, seed: 8 }, { ...state, batchSize: 5 }, { ...state, samples: 21 }]) {
      await expect(take(1, { resume })).rejects.toMatchObject({ code: 'E_FORMAT', message: expect.stringContaining('resume') });
    }
    for (const resume of [{ ...state, position: 3 }, { ...state, epoch: -1 }]) await expect(take(1, { resume })).rejects.toMatchObject({ code: 'E_RANGE' });
  });

  it.each([
    ['batchSize', 0],
    ['batchSize', 21],
    ['imageSize', 0],
    ['seed', -1],
    ['prefetch', 0],
    ['workers', 0],
    ['cacheDecoded', -1],
  ])('refuses %s %i', async (name, value) => {
    await expect(take(1, { [name]: value })).rejects.toMatchObject({ code: 'E_RANGE', message: expect.stringContaining(name) });
  });

  it('names a damaged image, keeps its place, and goes on once the file is mended', async () => {
    const damaged = scanImageFolder(await imageFolder(1, 3));
    const path = join(damaged.root, damaged.samples[1]!.path);
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, whole.length / 2));
    const options = { dataset: damaged, batchSize: 3, imageSize: SIZE, seed: 1, workers: 1 };
    const loader = new BatchLoader(options);
    await expect(loader.next()).rejects.toMatchObject({ name: 'HyperArcError', code: 'E_FORMAT', message: expect.stringContaining(path) });
    await expect(loader.next()).rejects.toMatchObject({ code: 'E_FORMAT' });
    const resume = loader.state();
    expect(resume).toMatchObject({ epoch: 0, position: 0 });
    await loader.close();
    writeFileSync(path, whole);
    expect((await take(1, { ...options, resume }))[0]!.indices).toHaveLength(3);
  });

  it('answers E_DISPOSED after close, to a waiting caller too', async () => {
    const loader = new BatchLoader({ dataset, batchSize: 6, imageSize: SIZE, seed: 7, workers: 1 });
    const waiting = expect(loader.next()).rejects.toMatchObject({ code: 'E_DISPOSED' });
    await loader.close();
    await waiting;
    await expect(loader.next()).rejects.toMatchObject({ code: 'E_DISPOSED' });
    await loader.close();
  });

  it('counts the time that callers waited', async () => {
    const loader = new BatchLoader({ dataset, batchSize: 6, imageSize: SIZE, seed: 7, workers: 1 });
    await loader.next();
    expect(loader.waitMs).toBeGreaterThan(0);
    await loader.close();
  });
});

describe('loadImages', () => {
  it('keeps the order of the paths with any number of threads', async () => {
    const paths = dataset.samples.map(({ path }) => path).reverse();
    const one = await loadImages(paths, SIZE, { root: dataset.root, workers: 1 });
    expect(one).toHaveLength(paths.length * SIZE * SIZE * 3);
    expect(await loadImages(paths, SIZE, { root: dataset.root, workers: 3 })).toEqual(one);
    const last = Float32Array.from(await decodeImage(join(dataset.root, paths.at(-1)!), SIZE), (value) => (value / 255 - 0.5) / 0.5);
    expect(one.subarray(-last.length)).toEqual(last);
  });

  it('names the first bad file', async () => {
    const bad = scanImageFolder(await imageFolder(1, 4));
    for (const i of [1, 3]) writeFileSync(join(bad.root, bad.samples[i]!.path), (await picture(i)).subarray(0, 60));
    const paths = bad.samples.map(({ path }) => path);
    await expect(loadImages(paths, SIZE, { root: bad.root, workers: 2 })).rejects.toThrow(bad.samples[1]!.path);
  });

  it('answers those that can be decoded and says what failed, with any number of threads', async () => {
    const part = scanImageFolder(await imageFolder(1, 7));
    const bad = [1, 2, 6];
    for (const i of bad) writeFileSync(join(part.root, part.samples[i]!.path), 'no image');
    const paths = part.samples.map(({ path }) => path);
    const good = paths.filter((_, i) => !bad.includes(i));
    const expected = await loadImages(good, SIZE, { root: part.root, workers: 1 });
    for (const workers of [1, 2, 3, 7]) {
      const loader = createImageLoader({ root: part.root, workers });
      try {
        const { pixels, failures } = await loader.loadGood(paths, SIZE);
        expect(pixels).toEqual(expected);
        expect(failures).toEqual(bad.map((at) => ({ at, reason: expect.stringContaining(paths[at]!) as string })));
        const none = await loader.loadGood(bad.map((at) => paths[at]!), SIZE);
        expect([none.pixels.length, none.failures.map(({ at }) => at)]).toEqual([0, [0, 1, 2]]);
      } finally {
        await loader.close();
      }
    }
  });

  it('answers an empty list with nothing', async () => {
    expect(await loadImages([], SIZE, { workers: 1 })).toHaveLength(0);
  });
});
