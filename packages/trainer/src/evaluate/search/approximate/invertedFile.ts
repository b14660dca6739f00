import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { cosineBlocks, type CosineOptions } from '../cosineBlocks.js';
import { checkFiniteRows, rowCount, type Features } from '../features.js';
import { TopK } from '../topK.js';
import { sphericalKMeans } from './sphericalKMeans.js';

/** Rows that are put into lists between two reports of progress. */
const ASSIGNED_ROWS = 65_536;

/** A gallery's rows in lists by direction. It refers to the gallery, which must not change while it is searched. */
export interface InvertedFile {
  readonly gallery: Features;
  /** [lists, D] */
  readonly centroids: Features;
  /** [lists + 1]: list l has `rows` from starts[l] to starts[l + 1]; some may be empty. */
  readonly starts: Int32Array;
  /** [N] row numbers, list by list, ascending within each */
  readonly rows: Int32Array;
  /** [N] the list of each row */
  readonly listOf: Int32Array;
  readonly seed: number;
}

/** `onProgress` counts rows put into lists, after k-means. */
export interface IndexOptions extends CosineOptions {
  /** In [1, N]. Default: the square root of N, rounded, where making the index costs as much as an exact search with about √N probes. */
  readonly lists?: number;
  /** Of the rows that k-means learns from, and of the probes whose recall is measured; a whole number in [0, 2⁵³). Default 0. */
  readonly seed?: number;
}

/** The number of lists of `rows` rows. @throws HyperArcError E_RANGE. */
export function listCount({ lists, seed = 0 }: Pick<IndexOptions, 'lists' | 'seed'>, rows: number): number {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new HyperArcError('E_RANGE', `seed: expected a whole number in [0, 2^53), received ${seed}`);
  if (lists === undefined) return Math.max(1, Math.round(Math.sqrt(rows)));
  if (Number.isInteger(lists) && lists >= 1 && lists <= rows) return lists;
  const range = `[1, ${rows}], the rows of the gallery`;
  throw new HyperArcError('E_RANGE', `lists: expected a whole number in ${range}, received ${lists}`);
}

/**
 * Sorts a gallery into lists for {@link searchIndex}: an inverted file over full vectors (Jégou, Douze and Schmid, IEEE TPAMI 33(1), 2011, without their
 * product quantisation; FAISS's IVFFlat). The lists are those of spherical k-means; a row is in the list of the centroid of largest cosine, of
 * equal ones the first, so equal rows share a list. One seed gives the same lists on any number of threads. Memory beside the gallery: 8·N bytes (12·N
 * while it is made), 12·D·lists for the centroids, and some 60 MB of blocks for D = 512.
 *
 * @param gallery [N, D] of any length; `{ valuesND, dim }`
 * @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE; E_NONFINITE naming the row; E_DEVICE, E_MEMORY from the engine.
 */
export async function buildIndex(gallery: Features, options: IndexOptions = {}): Promise<InvertedFile> {
  const total = rowCount('gallery', gallery);
  const lists = listCount(options, total);
  const { seed = 0, onProgress, device } = options;
  const { valuesND, dim } = gallery;
  checkFiniteRows('gallery', valuesND, dim);
  const engine = device === undefined ? {} : { device };
  const centroids = await sphericalKMeans(gallery, lists, seed, engine);

  const nearest = new TopK(total, 1);
  for (let first = 0; first < total; first += ASSIGNED_ROWS) {
    const rows = { valuesND: valuesND.subarray(first * dim, (first + ASSIGNED_ROWS) * dim), dim };
    for await (const block of cosineBlocks(centroids, rows, engine))
      nearest.add({ ...block, firstProbe: first + block.firstProbe });
    onProgress?.(Math.min(total, first + ASSIGNED_ROWS), total);
  }
  const { starts, members } = groupBy(nearest.indices, lists);
  return { gallery, centroids, starts, rows: members, listOf: nearest.indices, seed };
}

/** The places of each of `groups` groups in `owners`, ascending: a counting sort. */
function groupBy(owners: Int32Array, groups: number): { starts: Int32Array; members: Int32Array } {
  const starts = new Int32Array(groups + 1);
  for (const owner of owners) starts[owner + 1]! += 1;
  for (let group = 0; group < groups; group++) starts[group + 1]! += starts[group]!;
  const next = starts.slice();
  const members = new Int32Array(owners.length);
  owners.forEach((owner, place) => (members[next[owner]!++] = place));
  return { starts, members };
}
