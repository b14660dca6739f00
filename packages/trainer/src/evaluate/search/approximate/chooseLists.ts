import { cosineBlocks, type CosineOptions } from '../cosineBlocks.js';
import type { Features } from '../features.js';
import type { InvertedFile } from './invertedFile.js';

/** Numbers of one block of cosines between probes and lists: 16 MB. */
const BLOCK_NUMBERS = 2 ** 22;

/** Cosines of some consecutive probes to all centroids, [probes, lists]. */
interface ListCosines {
  readonly firstProbe: number;
  readonly cosines: Float32Array;
}

/** The cosine of every probe to every centroid, some probes at a time. */
async function* listCosines(
  { centroids }: InvertedFile,
  { valuesND, dim }: Features,
  options: CosineOptions,
): AsyncGenerator<ListCosines> {
  const lists = centroids.valuesND.length / dim;
  const probesAtOnce = Math.max(1, Math.floor(BLOCK_NUMBERS / lists));
  for (let firstProbe = 0; firstProbe * dim < valuesND.length; firstProbe += probesAtOnce) {
    const probes = { valuesND: valuesND.subarray(firstProbe * dim, (firstProbe + probesAtOnce) * dim), dim };
    const all = new Float32Array((probes.valuesND.length / dim) * lists);
    for await (const block of cosineBlocks(centroids, probes, options)) {
      for (let i = 0; i < block.probes; i++) {
        const from = block.cosines.subarray(i * block.stride, i * block.stride + block.rows);
        all.set(from, (block.firstProbe + i) * lists + block.firstRow);
      }
    }
    yield { firstProbe, cosines: all };
  }
}

/**
 * For each probe its lists, ascending: the `count` of largest cosine, of equal ones the first. Where these hold fewer than k rows, as many of the next as
 * it takes, so that every probe gets k rows.
 */
export async function chooseLists(
  index: InvertedFile,
  probes: Features,
  count: number,
  k: number,
  options: CosineOptions,
): Promise<Int32Array[]> {
  const lists = index.starts.length - 1;
  const chosen: Int32Array[] = [];
  for await (const { cosines } of listCosines(index, probes, options)) {
    for (let first = 0; first < cosines.length; first += lists) {
      const ofProbe = cosines.subarray(first, first + lists);
      const sorted = ofProbe.slice().sort();
      let [enough, most] = [count, lists];
      while (enough < most) {
        const tried = enough === count ? count : (enough + most) >>> 1;
        if (rowsIn(index, nearest(ofProbe, sorted, tried)) >= k) most = tried;
        else enough = tried + 1;
      }
      chosen.push(nearest(ofProbe, sorted, enough));
    }
  }
  return chosen;
}

/** The places of the `count` largest of `values`, ascending; of equal values the first ones. */
function nearest(values: Float32Array, ascending: Float32Array, count: number): Int32Array {
  const least = ascending[values.length - count]!;
  let ties = count;
  for (let i = values.length - 1; i >= 0 && ascending[i]! > least; i--) ties -= 1;
  const places = new Int32Array(count);
  let found = 0;
  for (let i = 0; i < values.length && found < count; i++) {
    const isTie = values[i] === least;
    if (values[i]! > least || (isTie && ties > 0)) places[found++] = i;
    if (isTie) ties -= 1;
  }
  return places;
}

function rowsIn({ starts }: InvertedFile, lists: Int32Array): number {
  let rows = 0;
  for (const list of lists) rows += starts[list + 1]! - starts[list]!;
  return rows;
}

/**
 * How many lists a probe must look at to come to each of its k rows: the place of the row's list among all lists by cosine, from 1.
 * @param rows [M, k] row numbers
 * @returns [M, k]
 */
export async function listsToReach(
  index: InvertedFile,
  probes: Features,
  rows: Int32Array,
  k: number,
  options: CosineOptions,
): Promise<Int32Array> {
  const lists = index.starts.length - 1;
  const needed = new Int32Array(rows.length);
  for await (const { firstProbe, cosines } of listCosines(index, probes, options)) {
    for (let first = 0; first < cosines.length; first += lists) {
      const ofProbe = cosines.subarray(first, first + lists);
      const base = (firstProbe + first / lists) * k;
      for (let i = base; i < base + k; i++) needed[i] = placeOf(index.listOf[rows[i]!]!, ofProbe);
    }
  }
  return needed;
}

function placeOf(list: number, values: Float32Array): number {
  const value = values[list]!;
  let place = 1;
  for (let i = 0; i < values.length; i++) {
    if (values[i]! > value || (values[i] === value && i < list)) place += 1;
  }
  return place;
}
