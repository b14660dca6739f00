import { cosineBlocks, type CosineOptions } from '../cosineBlocks.js';
import type { Features } from '../features.js';
import { TopK } from '../topK.js';
import { DRAW, gatherRows, sampleRows } from './sampleRows.js';

/** Rows drawn for each list, at most; FAISS asks for 39 at least. */
const ROWS_PER_LIST = 64;
const ITERATIONS = 10;
/** Rows that are gathered at a time: 16 MB of rows of 512 numbers. */
const BLOCK_ROWS = 8192;

/**
 * Centroids [lists, D] of spherical k-means (Dhillon and Modha, Machine Learning 42, 2001): each row belongs to the centroid of largest cosine, each
 * centroid is the mean direction of its rows. Lloyd's algorithm, at most ten rounds over a sample of 64 rows a list, from `lists` rows of that sample. A
 * centroid without rows moves to the row that is farthest from its own. Cosines are the engine's and sums are added up row by row in float64, so one seed
 * gives the same bits on any number of threads.
 *
 * @param rows [N, D] finite, N ≥ lists
 */
export async function sphericalKMeans(
  { valuesND, dim }: Features,
  lists: number,
  seed: number,
  engine: Pick<CosineOptions, 'device'>,
): Promise<Features> {
  const total = valuesND.length / dim;
  const drawn = sampleRows(Math.min(total, ROWS_PER_LIST * lists), total, seed, DRAW.training);
  const centroids: Features = { valuesND: gatherRows(valuesND, dim, drawn.subarray(0, lists)), dim };
  const sample = drawn.sort();
  const scales = Float64Array.from(sample, (row) => inverseLength(valuesND.subarray(row * dim, (row + 1) * dim)));
  let owners: Int32Array = new Int32Array(sample.length).fill(-1);
  for (let round = 0; round < ITERATIONS; round++) {
    const nearest = new TopK(sample.length, 1);
    const sums = new Float64Array(lists * dim);
    for (let first = 0; first < sample.length; first += BLOCK_ROWS) {
      const rows = gatherRows(valuesND, dim, sample.subarray(first, first + BLOCK_ROWS));
      for await (const block of cosineBlocks(centroids, { valuesND: rows, dim }, engine))
        nearest.add({ ...block, firstProbe: first + block.firstProbe });
      addUp(sums, rows, dim, nearest.indices.subarray(first), scales.subarray(first));
    }
    if (nearest.indices.every((owner, i) => owner === owners[i])) break;
    owners = nearest.indices;
    moveCentroids(centroids, sums, owners, nearest.cosines, scales, (i) => {
      const row = sample[i]!;
      return valuesND.subarray(row * dim, (row + 1) * dim);
    });
  }
  return centroids;
}

/** 1/|x|, and 0 for a zero row, which has no direction. */
function inverseLength(row: Float32Array): number {
  let squares = 0;
  for (const value of row) squares += value * value;
  return squares === 0 ? 0 : 1 / Math.sqrt(squares);
}

/** Adds each unit row to the sum of its list. */
function addUp(sums: Float64Array, rows: Float32Array, dim: number, owners: Int32Array, scales: Float64Array): void {
  for (let i = 0; i * dim < rows.length; i++) {
    const to = owners[i]! * dim;
    for (let d = 0; d < dim; d++) sums[to + d]! += rows[i * dim + d]! * scales[i]!;
  }
}

/** Each centroid becomes the direction of its sum; one without rows, or whose rows cancel out, the row with the next lowest cosine to its own. */
function moveCentroids(
  { valuesND, dim }: Features,
  sums: Float64Array,
  owners: Int32Array,
  cosines: Float32Array,
  scales: Float64Array,
  rowAt: (i: number) => Float32Array,
): void {
  let farthest: number[] | undefined;
  for (let list = 0; list * dim < valuesND.length; list++) {
    const sum = sums.subarray(list * dim, (list + 1) * dim);
    const length = Math.sqrt(sum.reduce((squares, value) => squares + value * value, 0));
    if (length > 0) {
      for (let d = 0; d < dim; d++) valuesND[list * dim + d] = sum[d]! / length;
      continue;
    }
    farthest ??= Array.from(owners.keys())
      .filter((i) => scales[i]! > 0)
      .sort((a, b) => cosines[b]! - cosines[a]! || b - a);
    const next = farthest.pop();
    // Where every row is zero there is no direction to take.
    if (next !== undefined) valuesND.set(rowAt(next), list * dim);
  }
}
