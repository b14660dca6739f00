import { describe, expect, it } from 'vitest';
import { cosineBlocks } from '../../../dist/evaluate/search/cosineBlocks.js';
import { searchGallery } from '../../../dist/evaluate/search/exactSearch.js';
import { KeyedRandom } from '../../../dist/data/keyedRandom.js';

/** [rows, dim] numbers in (−1, 1), from a seed. */
function randomRows(rows: number, dim: number, seed: number): Float32Array {
  const random = new KeyedRandom(7, seed);
  return Float32Array.from({ length: rows * dim }, () => random.integer(2 ** 24) / 2 ** 23 - 1);
}

/** Cosines in float64, written for plainness. */
function cosine(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let d = 0; d < a.length; d++) {
    dot += a[d]! * b[d]!;
    aa += a[d]! * a[d]!;
    bb += b[d]! * b[d]!;
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa) / Math.sqrt(bb);
}

const row = (values: Float32Array, dim: number, i: number) => values.subarray(i * dim, (i + 1) * dim);

/** Every row's cosine to a probe, most similar first, lower index first of equal ones. */
function sorted(gallery: Float32Array, probe: Float32Array, dim: number): { index: number; cosine: number }[] {
  return Array.from({ length: gallery.length / dim }, (_, index) => ({
    index,
    cosine: cosine(row(gallery, dim, index), probe),
  })).sort((x, y) => y.cosine - x.cosine || x.index - y.index);
}

/** fp32 cosines of the engine are this close to exact ones. */
const TOLERANCE = 2e-6;

async function compare(gallery: Float32Array, probes: Float32Array, dim: number, k: number): Promise<void> {
  const found = await searchGallery({ valuesND: gallery, dim }, { valuesND: probes, dim }, k, { device: 'cpu' });
  const probeRows = probes.length / dim;
  expect(found.indices.length).toBe(probeRows * k);
  for (let i = 0; i < probeRows; i++) {
    const exact = sorted(gallery, row(probes, dim, i), dim);
    const cosines = new Map(exact.map((entry) => [entry.index, entry.cosine]));
    const indices = found.indices.subarray(i * k, (i + 1) * k);
    expect(new Set(indices).size, `probe ${i}: an index twice`).toBe(k);
    for (let r = 0; r < k; r++) {
      const at = `probe ${i}, rank ${r}`;
      expect(Math.abs(found.cosines[i * k + r]! - exact[r]!.cosine), at).toBeLessThanOrEqual(TOLERANCE);
      expect(Math.abs(cosines.get(indices[r]!)! - exact[r]!.cosine), at).toBeLessThanOrEqual(TOLERANCE);
      // Where nothing else is near, and where the others are exact copies, the very index is known.
      const near = exact.filter((entry) => Math.abs(entry.cosine - exact[r]!.cosine) <= 2 * TOLERANCE);
      if (near.every((entry) => entry.cosine === exact[r]!.cosine)) expect(indices[r], at).toBe(exact[r]!.index);
    }
  }
}

describe('searchGallery', () => {
  it.each([
    [1, 1, 1, 1],
    [7, 3, 5, 7],
    [130, 17, 33, 10],
    [2049, 5, 8, 3],
    [300, 1025, 4, 2],
  ])('finds the nearest of %i rows to %i probes of %i numbers, k = %i', async (rows, probes, dim, k) => {
    await compare(randomRows(rows, dim, 1), randomRows(probes, dim, 2), dim, k);
  });

  it('orders planted ties by index across blocks and tails, and finds near-duplicates', async () => {
    const [dim, rows] = [24, 4096 + 37];
    const gallery = randomRows(rows, dim, 3);
    const probes = randomRows(40, dim, 4);
    // The same row in the first block, at its end, in the second, in the tail; every residue of a panel of 16.
    const copies = [3, 2047, 2048, 4095, 4096, 4132, ...Array.from({ length: 16 }, (_, i) => 1000 + 17 * i)];
    for (const to of copies) gallery.set(row(probes, dim, 0), to * dim);
    // Probe 1 has a copy, and near it rows that differ in one number by 2e-3: cosines just below 1, in the order of the difference.
    gallery.set(row(probes, dim, 1), 4000 * dim);
    for (const [step, to] of [500, 2500, 100].entries()) {
      gallery.set(row(probes, dim, 1), to * dim);
      gallery[to * dim + 5]! += 0.02 * (step + 1);
    }
    await compare(gallery, probes, dim, 25);
    const found = await searchGallery({ valuesND: gallery, dim }, { valuesND: probes, dim }, 25, { device: 'cpu' });
    expect([...found.indices.subarray(0, copies.length)]).toEqual(copies.sort((a, b) => a - b));
    expect(new Set(found.cosines.subarray(0, copies.length)).size).toBe(1);
    // More ties than places: the lowest indices stay.
    const five = await searchGallery({ valuesND: gallery, dim }, { valuesND: probes, dim }, 5, { device: 'cpu' });
    expect([...five.indices.subarray(0, 5)]).toEqual(copies.slice(0, 5));
    expect([...found.indices.subarray(25, 29)]).toEqual([4000, 500, 2500, 100]);
  });

  it('answers the same bits whatever stands beside a probe or a row', async () => {
    const dim = 64;
    const gallery = { valuesND: randomRows(2100, dim, 5), dim };
    const probes = { valuesND: randomRows(1030, dim, 6), dim };
    const all = await searchGallery(gallery, probes, 4, { device: 'cpu' });
    for (const i of [0, 6, 511, 1024, 1029]) {
      const one = await searchGallery(gallery, { valuesND: row(probes.valuesND, dim, i), dim }, 4, { device: 'cpu' });
      expect(one.cosines).toEqual(all.cosines.slice(4 * i, 4 * i + 4));
      expect(one.indices).toEqual(all.indices.slice(4 * i, 4 * i + 4));
    }
  });

  it('gives zero vectors cosine 0, so that they come by index', async () => {
    const gallery = { valuesND: Float32Array.of(0, 0, -1, 0, 0, 0, 1, 0), dim: 2 };
    const found = await searchGallery(gallery, { valuesND: Float32Array.of(2, 0, 0, 0), dim: 2 }, 4, { device: 'cpu' });
    expect([...found.indices]).toEqual([3, 0, 2, 1, 0, 1, 2, 3]);
    expect([...found.cosines]).toEqual([1, 0, 0, -1, 0, 0, 0, 0]);
  });

  it('leaves its inputs alone and can stop early', async () => {
    const gallery = { valuesND: randomRows(5000, 4, 8), dim: 4 };
    const before = gallery.valuesND.slice();
    for await (const block of cosineBlocks(gallery, gallery, { device: 'cpu' })) {
      expect(block).toMatchObject({ firstRow: 0, firstProbe: 0, rows: 2048, probes: 1024 });
      break;
    }
    expect(gallery.valuesND).toEqual(before);
  });

  it('tells how far it is', async () => {
    const seen: number[][] = [];
    const gallery = { valuesND: randomRows(5000, 4, 8), dim: 4 };
    await searchGallery(gallery, gallery, 1, { device: 'cpu', onProgress: (...values) => seen.push(values) });
    expect(seen).toEqual([
      [2048, 5000],
      [4096, 5000],
      [5000, 5000],
    ]);
  });

  it('refuses what does not fit, before it works', async () => {
    const gallery = { valuesND: randomRows(10, 4, 1), dim: 4 };
    const search = (g: object, p: object, k = 1) => searchGallery(g as never, p as never, k, { device: 'cpu' });
    await expect(search(gallery, { valuesND: new Float32Array(6), dim: 3 })).rejects.toThrow(
      'E_SHAPE: probes.dim: expected 4 as of gallery, received 3',
    );
    await expect(search(gallery, { valuesND: new Float32Array(6), dim: 4 })).rejects.toThrow(
      'E_SHAPE: probes.valuesND',
    );
    await expect(search(gallery, { valuesND: new Float64Array(4), dim: 4 })).rejects.toThrow(
      'E_DTYPE: probes.valuesND',
    );
    await expect(search({ valuesND: new Float32Array(0), dim: 4 }, gallery)).rejects.toThrow(
      'E_SHAPE: gallery.valuesND',
    );
    for (const k of [0, 11, 1.5])
      await expect(search(gallery, gallery, k)).rejects.toThrow('E_RANGE: k: expected a whole number in [1, 10]');
    const bad = randomRows(4100, 4, 1);
    bad[4 * 3000 + 2] = NaN;
    await expect(search({ valuesND: bad, dim: 4 }, gallery)).rejects.toThrow('E_NONFINITE: gallery[3000]');
    await expect(search(gallery, { valuesND: bad, dim: 4 })).rejects.toThrow('E_NONFINITE: probes[3000]');
  });
});
