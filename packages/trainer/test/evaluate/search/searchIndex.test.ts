import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../../dist/data/keyedRandom.js';
import { buildIndex, type InvertedFile } from '../../../dist/evaluate/search/approximate/invertedFile.js';
import { searchIndex } from '../../../dist/evaluate/search/approximate/searchIndex.js';
import { searchGallery } from '../../../dist/evaluate/search/exactSearch.js';
import type { Features } from '../../../dist/evaluate/search/features.js';

const CPU = { device: 'cpu' } as const;

/** [rows, dim] numbers in (−1, 1), from a seed. */
function randomRows(rows: number, dim: number, seed: number): Features {
  const random = new KeyedRandom(7, seed);
  return { valuesND: Float32Array.from({ length: rows * dim }, () => random.uniform(-1, 1)), dim };
}

/** Numbers of few values, so that cosines tie, with copies of rows and zero rows among them. */
function tiedRows(rows: number, dim: number, seed: number): Features {
  const random = new KeyedRandom(8, seed);
  const valuesND = Float32Array.from({ length: rows * dim }, () => random.integer(3) - 1);
  for (let i = 0; i < rows; i += 5) {
    const from = random.integer(rows) * dim;
    valuesND.copyWithin(i * dim, from, from + dim);
  }
  for (let i = 3; i < rows; i += 11) valuesND.fill(0, i * dim, (i + 1) * dim);
  return { valuesND, dim };
}

/** Rows around random directions, `people` of them in turn: what search is for. */
function people(rows: number, count: number, dim: number, seed: number): Features {
  const centres = randomRows(count, dim, 99).valuesND;
  const random = new KeyedRandom(9, seed);
  const valuesND = Float32Array.from(
    { length: rows * dim },
    (_, i) => centres[(Math.floor(i / dim) % count) * dim + (i % dim)]! + random.uniform(-0.4, 0.4),
  );
  return { valuesND, dim };
}

const rowsOf = ({ valuesND, dim }: Features): number => valuesND.length / dim;
const row = ({ valuesND, dim }: Features, i: number) => valuesND.subarray(i * dim, (i + 1) * dim);

/** The rows of the lists that probe i looks at, by whole orders of exact search: its `count` nearest centroids, more where these have fewer than k rows. */
async function visible(index: InvertedFile, probes: Features, count: number, k: number): Promise<Set<number>[]> {
  const lists = index.starts.length - 1;
  const order = await searchGallery(index.centroids, probes, lists, CPU);
  return Array.from({ length: rowsOf(probes) }, (_, i) => {
    const rows = new Set<number>();
    for (let place = 0; place < lists && (place < count || rows.size < k); place++) {
      const list = order.indices[i * lists + place]!;
      for (let at = index.starts[list]!; at < index.starts[list + 1]!; at++) rows.add(index.rows[at]!);
    }
    return rows;
  });
}

/** Compares place by place with exact search's order of all rows, of which only the visible ones stay. */
async function compare(index: InvertedFile, probes: Features, k: number, listsPerProbe: number): Promise<void> {
  const total = rowsOf(index.gallery);
  const found = await searchIndex(index, probes, k, { ...CPU, listsPerProbe });
  const all = await searchGallery(index.gallery, probes, total, CPU);
  const seen = await visible(index, probes, listsPerProbe, k);
  let same = 0;
  for (let i = 0; i < rowsOf(probes); i++) {
    const expected: { index: number; cosine: number }[] = [];
    for (let place = i * total; expected.length < k; place++) {
      if (!seen[i]!.has(all.indices[place]!)) continue;
      expected.push({ index: all.indices[place]!, cosine: all.cosines[place]! });
    }
    const got = Array.from({ length: k }, (_, r) => ({
      index: found.indices[i * k + r]!,
      cosine: found.cosines[i * k + r]!,
    }));
    expect(got, `probe ${i}`).toEqual(expected);
    const exact = new Set(all.indices.subarray(i * total, i * total + k));
    same += got.filter((entry) => exact.has(entry.index)).length;
  }
  const share = seen.reduce((sum, rows) => sum + rows.size, 0) / seen.length / total;
  expect(found.compared).toBeCloseTo(share, 12);
  expect(found).toMatchObject({ lists: index.starts.length - 1, listsPerProbe });
  // Fewer than 500 probes: all of them were checked, so there is nothing to be unsure of.
  const mean = same / (rowsOf(probes) * k);
  const counts = { checked: rowsOf(probes), probes: rowsOf(probes) };
  expect(found.recall.at(-1)).toEqual({ k, recall: mean, low: mean, high: mean, ...counts });
}

describe('buildIndex', () => {
  it.each([
    ['people', people(500, 40, 16, 1), 23],
    ['ties', tiedRows(300, 3, 1), 40],
    ['a list a row', randomRows(60, 5, 2), 60],
    ['more lists than a block', randomRows(2300, 2, 2), 2100],
    ['one list', randomRows(30, 4, 3), 1],
  ])('%s: puts every row into the list of its nearest centroid', async (_, gallery, lists) => {
    const index = await buildIndex(gallery, { ...CPU, lists });
    const total = rowsOf(gallery);
    expect(rowsOf(index.centroids)).toBe(lists);
    expect([...index.rows].sort((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, i) => i));
    const nearest = await searchGallery(index.centroids, gallery, 1, CPU);
    for (let list = 0; list < lists; list++) {
      const members = [...index.rows.subarray(index.starts[list], index.starts[list + 1])];
      expect(members).toEqual([...members].sort((a, b) => a - b));
      for (const member of members) expect([nearest.indices[member], index.listOf[member]]).toEqual([list, list]);
    }
    expect([index.starts[0], index.starts[lists]]).toEqual([0, total]);
  });

  it.each([0, 1, 2, 3])('finds planted directions from any start (seed %i): empty lists move', async (seed) => {
    const dim = 6;
    const valuesND = new Float32Array(120 * dim);
    // Row i points along axis i mod 6, with lengths from 1e-3 to 1e3; the first six rows, twenty copies of each direction.
    for (let i = 0; i < 120; i++) valuesND[i * dim + (i % 6)] = 10 ** ((i % 7) - 3);
    const index = await buildIndex({ valuesND, dim }, { ...CPU, lists: 6, seed });
    for (let list = 0; list < 6; list++) {
      const members = index.rows.subarray(index.starts[list], index.starts[list + 1]);
      expect(members.length).toBe(20);
      expect(new Set([...members].map((member) => member % 6)).size).toBe(1);
    }
  });

  it('comes to centroids that are the mean directions of their rows', async () => {
    const gallery = people(400, 8, 12, 4);
    const { centroids, starts, rows } = await buildIndex(gallery, { ...CPU, lists: 8, seed: 3 });
    for (let list = 0; list < 8; list++) {
      const sum = new Float64Array(12);
      for (const member of rows.subarray(starts[list], starts[list + 1])) {
        const length = Math.hypot(...row(gallery, member));
        row(gallery, member).forEach((value, d) => (sum[d]! += value / length));
      }
      const length = Math.hypot(...sum);
      row(centroids, list).forEach((value, d) => expect(value).toBeCloseTo(sum[d]! / length, 6));
    }
  });

  it('takes galleries without directions', async () => {
    const zeros = { valuesND: new Float32Array(40), dim: 4 };
    const index = await buildIndex(zeros, { ...CPU, lists: 3 });
    expect([...index.starts]).toEqual([0, 10, 10, 10]);
    await compare(index, randomRows(3, 4, 1), 4, 2);
    // Rows that cancel out leave a list without a mean.
    const opposite = { valuesND: Float32Array.of(1, 0, -1, 0, 0, 2, 0, -2), dim: 2 };
    for (const lists of [1, 2, 4]) await compare(await buildIndex(opposite, { ...CPU, lists }), opposite, 3, 1);
  });

  it('is the same for one seed, another for another, and leaves the gallery alone', async () => {
    const gallery = randomRows(3000, 8, 5);
    const before = gallery.valuesND.slice();
    const seen: number[][] = [];
    const index = await buildIndex(gallery, { ...CPU, onProgress: (...values) => seen.push(values) });
    expect(index.starts.length - 1).toBe(55);
    expect(await buildIndex(gallery, CPU)).toEqual(index);
    expect((await buildIndex(gallery, { ...CPU, seed: 1 })).centroids).not.toEqual(index.centroids);
    expect(gallery.valuesND).toEqual(before);
    expect(seen.at(-1)).toEqual([3000, 3000]);
  });
});

describe('searchIndex', () => {
  it('with all lists is exact search, bit for bit', async () => {
    const random = new KeyedRandom(11, 0);
    for (let round = 0; round < 40; round++) {
      const [rows, count, dim] = [1 + random.integer(300), 1 + random.integer(40), 1 + random.integer(20)];
      const make = random.chance(0.5) ? tiedRows : randomRows;
      const [gallery, probes] = [make(rows, dim, 2 * round), make(count, dim, 2 * round + 1)];
      const [lists, k] = [1 + random.integer(Math.min(rows, 30)), 1 + random.integer(Math.min(rows, 12))];
      const index = await buildIndex(gallery, { ...CPU, lists, seed: round });
      const found = await searchIndex(index, probes, k, { ...CPU, listsPerProbe: lists });
      const exact = await searchGallery(gallery, probes, k, CPU);
      const shape = JSON.stringify({ round, rows, count, dim, lists, k });
      expect(found.indices, shape).toEqual(exact.indices);
      expect(found.cosines, shape).toEqual(exact.cosines);
      expect(found.compared).toBe(1);
      for (const { recall } of found.recall) expect(recall).toBe(1);
    }
  });

  it.each([
    ['people', people(700, 50, 24, 1), people(60, 50, 24, 2), 25, 5],
    ['ties, copies and zero rows', tiedRows(400, 3, 3), tiedRows(50, 3, 4), 30, 12],
    ['random rows', randomRows(500, 8, 5), randomRows(40, 8, 6), 22, 10],
    ['lists longer than a block', randomRows(4300, 2, 7), randomRows(5, 2, 8), 2, 3],
  ] as const)('%s: finds the nearest rows of the nearest lists', async (_, gallery, probes, lists, k) => {
    const index = await buildIndex(gallery, { ...CPU, lists });
    for (const listsPerProbe of [1, 2, lists - 1].filter((count) => count > 0))
      await compare(index, probes, k, listsPerProbe);
  });

  it('goes on to further lists where k rows need more', async () => {
    const gallery = people(90, 30, 8, 1);
    const index = await buildIndex(gallery, { ...CPU, lists: 30 });
    for (const k of [4, 20, 89, 90]) await compare(index, people(12, 30, 8, 2), k, 1);
  });

  it('finds planted copies and near matches in a single list', async () => {
    const gallery = randomRows(4000, 32, 1);
    const probes = randomRows(50, 32, 2);
    for (let i = 0; i < 50; i++) {
      gallery.valuesND.set(row(probes, i), (70 * i + 9) * 32);
      gallery.valuesND.set(row(probes, i), (70 * i + 40) * 32);
      gallery.valuesND[(70 * i + 40) * 32 + 3]! += 0.05;
    }
    const index = await buildIndex(gallery, CPU);
    const { indices, recall } = await searchIndex(index, probes, 2, { ...CPU, listsPerProbe: 1 });
    expect(recall[0]).toMatchObject({ k: 1, recall: 1 });
    for (let i = 0; i < 50; i++) expect([...indices.subarray(2 * i, 2 * i + 2)]).toEqual([70 * i + 9, 70 * i + 40]);
  });

  it('does not depend on which probes come together, nor on how many at a time', async () => {
    // 2,048 lists for each of 2,100 probes: more pairs than are held at once. Copies of 64 rows leave most lists empty.
    const gallery = { valuesND: new Float32Array(4096), dim: 2 };
    const distinct = randomRows(64, 2, 1).valuesND;
    for (let i = 0; i < 2048; i++) gallery.valuesND.set(distinct.subarray(2 * (i % 64), 2 * (i % 64) + 2), 2 * i);
    const probes = randomRows(2100, 2, 2);
    const index = await buildIndex(gallery, { ...CPU, lists: 2048 });
    const seen: number[][] = [];
    const onProgress = (...values: [number, number]) => seen.push(values);
    const found = await searchIndex(index, probes, 2, { ...CPU, listsPerProbe: 2048, checked: 1, onProgress });
    const exact = await searchGallery(gallery, probes, 2, CPU);
    expect(found.indices).toEqual(exact.indices);
    expect(found.cosines).toEqual(exact.cosines);
    expect(seen.at(-1)).toEqual([4096, 4096]);
    expect(seen.every(([done], i) => i === 0 || done! >= seen[i - 1]![0]!)).toBe(true);
    const few = await searchIndex(index, probes, 2, { ...CPU, listsPerProbe: 3, checked: 1 });
    for (const i of [0, 1023, 1024, 2099]) {
      const one = await searchIndex(index, { valuesND: row(probes, i), dim: 2 }, 2, { ...CPU, listsPerProbe: 3 });
      expect(one.indices).toEqual(few.indices.slice(2 * i, 2 * i + 2));
      expect(one.cosines).toEqual(few.cosines.slice(2 * i, 2 * i + 2));
    }
  });

  it('measures recall on a sample, whose interval holds the recall over all probes', async () => {
    const gallery = randomRows(2000, 6, 1);
    const probes = randomRows(3000, 6, 2);
    const exact = await searchGallery(gallery, probes, 5, CPU);
    for (const seed of [0, 1, 2]) {
      const index = await buildIndex(gallery, { ...CPU, seed });
      const found = await searchIndex(index, probes, 5, { ...CPU, listsPerProbe: 4 });
      expect(found.recall.map(({ k, checked, probes: all }) => [k, checked, all])).toEqual([
        [1, 500, 3000],
        [5, 500, 3000],
      ]);
      for (const { k, recall, low, high } of found.recall) {
        let same = 0;
        for (let i = 0; i < 3000; i++) {
          const wanted = new Set(exact.indices.subarray(5 * i, 5 * i + k));
          for (const index of found.indices.subarray(5 * i, 5 * i + k)) if (wanted.has(index)) same += 1;
        }
        const whole = same / (3000 * k);
        expect(whole).toBeGreaterThan(0.3);
        expect(whole).toBeLessThan(0.99);
        expect(low).toBeLessThan(recall);
        expect(high).toBeGreaterThan(recall);
        expect(whole).toBeGreaterThan(low);
        expect(whole).toBeLessThan(high);
      }
      expect((await searchIndex(index, probes, 5, { ...CPU, listsPerProbe: 4 })).recall).toEqual(found.recall);
    }
  });

  it('takes the fewest lists that reach a recall', async () => {
    const index = await buildIndex(randomRows(1500, 6, 1), CPU);
    const probes = randomRows(400, 6, 2);
    const taken: number[] = [];
    for (const recall of [0.2, 0.5, 0.9, 0.99, 1]) {
      const found = await searchIndex(index, probes, 5, { ...CPU, recall });
      expect(found.recall.at(-1)!.recall).toBeGreaterThanOrEqual(recall);
      if (found.listsPerProbe > 1) {
        const less = await searchIndex(index, probes, 5, { ...CPU, listsPerProbe: found.listsPerProbe - 1 });
        expect(less.recall.at(-1)!.recall).toBeLessThan(recall);
      }
      taken.push(found.listsPerProbe);
    }
    expect(taken).toEqual([...taken].sort((a, b) => a - b));
    expect(new Set(taken).size).toBeGreaterThan(3);
    // Of a sample the lower bound has to reach it.
    const many = randomRows(2000, 6, 3);
    const sampled = await searchIndex(index, many, 5, { ...CPU, recall: 0.9, checked: 300 });
    expect(sampled.recall.at(-1)!.low).toBeGreaterThanOrEqual(0.9);
    expect(sampled.recall.at(-1)).toMatchObject({ checked: 300, probes: 2000 });
  });

  it('counts lists of equal cosines in their order when it chooses how many', async () => {
    // A zero probe is as near to every list and every row, so its nearest row is the first one, wherever that is.
    const zeros = { valuesND: new Float32Array(12), dim: 4 };
    const places: number[] = [];
    for (const seed of [0, 1, 2, 3]) {
      const index = await buildIndex(randomRows(60, 4, 1), { ...CPU, lists: 6, seed });
      const found = await searchIndex(index, zeros, 1, { ...CPU, recall: 1 });
      expect([...found.indices]).toEqual([0, 0, 0]);
      expect(found.listsPerProbe).toBe(index.listOf[0]! + 1);
      places.push(index.listOf[0]!);
    }
    expect(Math.max(...places)).toBeGreaterThan(0);
  });

  it('refuses what does not fit, before it works', async () => {
    const gallery = randomRows(100, 4, 1);
    const index = await buildIndex(gallery, { ...CPU, lists: 10 });
    const search = (probes: object, options: object, k = 1) =>
      searchIndex(index, probes as Features, k, { ...CPU, ...options });
    const build = (features: object, options: object = {}) => buildIndex(features as Features, { ...CPU, ...options });
    for (const lists of [0, 101, 2.5, NaN])
      await expect(build(gallery, { lists })).rejects.toThrow(
        `E_RANGE: lists: expected a whole number in [1, 100], the rows of the gallery, received ${lists}`,
      );
    for (const seed of [-1, 0.5])
      await expect(build(gallery, { seed })).rejects.toThrow('E_RANGE: seed: expected a whole number in [0, 2^53)');
    const bad = randomRows(100, 4, 1);
    bad.valuesND[4 * 71 + 1] = Infinity;
    await expect(build(bad)).rejects.toThrow('E_NONFINITE: gallery[71]: expected finite numbers, received Infinity');
    await expect(build({ valuesND: new Float32Array(6), dim: 4 })).rejects.toThrow('E_SHAPE: gallery.valuesND');
    await expect(build({ valuesND: [1], dim: 1 })).rejects.toThrow('E_DTYPE: gallery.valuesND');

    await expect(search(bad, {})).rejects.toThrow('E_NONFINITE: probes[71]');
    await expect(search(randomRows(2, 3, 1), {})).rejects.toThrow(
      'E_SHAPE: probes.dim: expected 4 as of gallery, received 3',
    );
    for (const k of [0, 101]) await expect(search(gallery, {}, k)).rejects.toThrow('E_RANGE: k: expected');
    for (const listsPerProbe of [0, 11, 1.5])
      await expect(search(gallery, { listsPerProbe })).rejects.toThrow(
        `E_RANGE: listsPerProbe: expected a whole number in [1, 10], the lists of the index, received ${listsPerProbe}`,
      );
    await expect(search(gallery, { listsPerProbe: 2, recall: 0.9 })).rejects.toThrow(
      'E_RANGE: recall: expected none beside listsPerProbe, received both; leave one of them out',
    );
    for (const recall of [0, -1, 1.01, NaN])
      await expect(search(gallery, { recall })).rejects.toThrow('E_RANGE: recall: expected a share in (0, 1]');
    await expect(search(randomRows(900, 4, 1), { recall: 0.995 })).rejects.toThrow(
      'E_RANGE: recall: expected at most 0.9924, which is as much as 500 checked probes can show, received 0.995; check 765 of the 900 probes',
    );
    for (const checked of [0, 1.5])
      await expect(search(gallery, { checked })).rejects.toThrow('E_RANGE: checked: expected a whole number');
  });
});
