import { KeyedRandom } from '../../../data/keyedRandom.js';

/** What draws from the seed of an index, so that no two draw alike. */
export const DRAW = { training: 0, recall: 1 } as const;

/**
 * `count` different numbers in [0, rows), in the order they are drawn: the beginning of a Fisher–Yates shuffle.
 * @param key seed, and which draw it is
 */
export function sampleRows(count: number, rows: number, ...key: readonly number[]): Int32Array {
  const random = new KeyedRandom(...key);
  const all = Int32Array.from({ length: rows }, (_, row) => row);
  for (let i = 0; i < count; i++) {
    const j = i + random.integer(rows - i);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, count);
}

/** The rows of these numbers, in this order, as a new matrix. */
export function gatherRows(values: Float32Array, dim: number, rows: Int32Array): Float32Array {
  const gathered = new Float32Array(rows.length * dim);
  rows.forEach((row, i) => gathered.set(values.subarray(row * dim, (row + 1) * dim), i * dim));
  return gathered;
}
