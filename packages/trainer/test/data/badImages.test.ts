import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { BatchLoader, scanImageFolder } from '../../dist/data/index.js';
import type { Batch, BatchLoaderOptions, ImageFolder } from '../../dist/data/index.js';
import { imageFolder } from './fixtures.js';

const SIZE = 16;
const BATCH = 5;
const PER_EPOCH = 4;

/** Five people of four images. Of the second person one image is damaged, of the fourth all. */
const DAMAGED = [5, 12, 13, 14, 15];
let dataset: ImageFolder;
let whole: ImageFolder;
const damage = (folder: ImageFolder, indices: readonly number[]): void => {
  for (const index of indices) writeFileSync(join(folder.root, folder.samples[index]!.path), 'no image');
};
beforeAll(async () => {
  whole = scanImageFolder(await imageFolder(5, 4));
  dataset = scanImageFolder(await imageFolder(5, 4));
  damage(dataset, DAMAGED);
});

const loaderOf = (options: Partial<BatchLoaderOptions> = {}): BatchLoader =>
  new BatchLoader({
    dataset,
    batchSize: BATCH,
    imageSize: SIZE,
    seed: 7,
    workers: 1,
    onBadImage: 'skip',
    maxBadImages: 0.25,
    ...options,
  });

async function take(count: number, options: Partial<BatchLoaderOptions> = {}): Promise<Batch[]> {
  const loader = loaderOf(options);
  try {
    const batches = [];
    for (let i = 0; i < count; i++) batches.push(await loader.next());
    return batches;
  } finally {
    await loader.close();
  }
}

describe('data.onBadImage skip', () => {
  it('puts another image of the identity in the place, or the next good one of the epoch, with its label', async () => {
    const got = await take(3 * PER_EPOCH);
    const wanted = await take(3 * PER_EPOCH, { dataset: whole });
    let own = 0;
    let next = 0;
    for (let epoch = 0; epoch < 3; epoch++) {
      const of = (batches: Batch[]) => batches.slice(epoch * PER_EPOCH, (epoch + 1) * PER_EPOCH);
      const order = of(wanted).flatMap(({ indices }) => [...indices]);
      const given = of(got).flatMap(({ indices }) => [...indices]);
      const labels = of(got).flatMap((batch) => [...batch.labels]);
      expect(order.slice().sort((a, b) => a - b)).toEqual([...Array(20).keys()]);
      for (const [position, index] of order.entries()) {
        const instead = given[position]!;
        expect(DAMAGED).not.toContain(instead);
        expect(labels[position]).toBe(dataset.labels[instead]);
        if (!DAMAGED.includes(index)) expect(instead).toBe(index);
        else if (index === 5) {
          own++;
          expect([4, 6, 7]).toContain(instead);
        } else {
          next++;
          const after = [...order.slice(position + 1), ...order].find((other) => !DAMAGED.includes(other));
          expect(instead).toBe(after);
        }
      }
    }
    expect([own, next]).toEqual([3, 12]);
    expect(got.reduce((sum, { replaced }) => sum + replaced, 0)).toBe(15);
  });

  it('gives the pixels of the image that stands in the place', async () => {
    const plain = { flip: false, dropLast: true } as const;
    const got = await take(PER_EPOCH, plain);
    const pixelsOf = new Map<number, Float32Array>();
    const values = SIZE * SIZE * 3;
    for (const { indices, images } of await take(PER_EPOCH, { ...plain, dataset: whole })) {
      for (const [i, index] of indices.entries()) pixelsOf.set(index, images.slice(i * values, (i + 1) * values));
    }
    for (const { indices, images } of got) {
      for (const [i, index] of indices.entries()) {
        expect(images.subarray(i * values, (i + 1) * values)).toEqual(pixelsOf.get(index));
      }
    }
  });

  it('does not always take the same neighbour', async () => {
    const lone = scanImageFolder(await imageFolder(1, 6));
    damage(lone, [2]);
    const batches = await take(30, { dataset: lone, batchSize: 6, maxBadImages: 0.2 });
    const seen = Array<number>(6).fill(0);
    for (const { indices } of batches) for (const index of indices) seen[index]!++;
    expect(seen[2]).toBe(0);
    // Thirty draws among five: none stands more than 18 times (probability 1e-6).
    for (const index of [0, 1, 3, 4, 5]) expect(seen[index]).toBeLessThan(30 + 18);
  });

  it('names each bad image once, whatever the threads, prefetch and cache', async () => {
    const expected = await take(2 * PER_EPOCH);
    const named = expected.flatMap(({ bad }) => bad);
    expect(named.map(({ index }) => index).sort((a, b) => a - b)).toEqual(DAMAGED);
    for (const { index, reason } of named) {
      expect(reason).toMatch(`${dataset.samples[index]!.path}: expected a JPEG, PNG or WebP image, received other contents`);
    }
    for (const options of [
      { workers: 3 },
      { prefetch: 1 },
      { cacheDecoded: 0 },
      { workers: 2, prefetch: 9, cacheDecoded: 0 },
    ]) {
      expect(await take(2 * PER_EPOCH, options)).toEqual(expected);
    }
  });

  it.each([0, 1, 3, 6])('goes on after %i batches as if never stopped, its counts included', async (stop) => {
    const all = loaderOf();
    const batches: Batch[] = [];
    for (let i = 0; i < 9; i++) batches.push(await all.next());
    const first = loaderOf({ workers: 2 });
    for (let i = 0; i < stop; i++) await first.next();
    const resume = JSON.parse(JSON.stringify(first.state())) as ReturnType<BatchLoader['state']>;
    const second = loaderOf({ resume });
    for (let i = stop; i < 9; i++) expect(await second.next()).toEqual(batches[i]);
    expect(second.state()).toEqual(all.state());
    expect(all.state().bad).toEqual({
      replaced: batches.reduce((sum, { replaced }) => sum + replaced, 0),
      images: DAMAGED,
    });
    await Promise.all([all, first, second].map((loader) => loader.close()));
  });

  it('stops above the share, keeps its place, and says what to do', async () => {
    const loader = loaderOf({ maxBadImages: 0.2 });
    let given = 0;
    const rest = (async () => {
      for (; given < PER_EPOCH; given++) await loader.next();
    })();
    const message = expect.stringMatching(
      /^E_FORMAT: data\.maxBadImages: expected at most a share of 0\.2 of images that cannot be decoded, received 5 of 20, the last of them .*person_.*; hyperarc data check/,
    ) as string;
    await expect(rest).rejects.toMatchObject({ code: 'E_FORMAT', message });
    const state = loader.state();
    expect(state.position).toBe(given);
    expect(state.bad?.images.length ?? 0).toBeLessThanOrEqual(4);
    await expect(loader.next()).rejects.toMatchObject({ message });
    await loader.close();
    // A larger share goes on from there.
    const batches = await take(PER_EPOCH, { resume: state });
    expect(batches).toEqual((await take(PER_EPOCH + given)).slice(given));
  });

  it('says so where no image can be decoded', async () => {
    const lost = scanImageFolder(await imageFolder(2, 2));
    damage(lost, [0, 1, 2, 3]);
    await expect(take(1, { dataset: lost, batchSize: 2, maxBadImages: 1 })).rejects.toThrow(
      /E_FORMAT: data: expected an image that can be decoded in place of .*jpg, received none/,
    );
  });

  it('refuses a share that is none, and counts of other data', async () => {
    for (const maxBadImages of [-0.1, 1.1, NaN]) {
      await expect(take(1, { maxBadImages })).rejects.toMatchObject({
        code: 'E_RANGE',
        message: expect.stringContaining('maxBadImages'),
      });
    }
    const resume = {
      epoch: 0,
      position: 0,
      seed: 7,
      batchSize: BATCH,
      samples: 20,
      bad: { replaced: 1, images: [20] },
    };
    await expect(take(1, { resume })).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: expect.stringContaining('resume.bad.images'),
    });
  });
});
