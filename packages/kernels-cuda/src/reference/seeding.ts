import { philox4x32, words } from './philox.js';

/** Fourth counter word of every seeding draw ("WEIG"), which keeps it apart from the sampler's. */
const SEEDING_STREAM = 0x57454947;

/** The uniform number in (0, 1) of a random word. */
function uniform(word: number): number {
  return (word + 0.5) / 2 ** 32;
}

/** Two independent N(0, 1) numbers: Box and Muller, 1958. */
function normalPair(word0: number, word1: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(uniform(word0)));
  const angle = 2 * Math.PI * uniform(word1);
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/**
 * Rows [rowCount, D] of N(0, stddev²), in fp32, of the global rows from firstRow (row = class·K + k): the same row on every
 * device and shard layout (docs/numerics.md, "Seeding").
 */
export function seedRows(seed: bigint, stddev: number, firstRow: number, rowCount: number, dim: number): Float32Array {
  const rows = new Float32Array(rowCount * dim);
  for (let r = 0; r < rowCount; r++) {
    const [rowLow, rowHigh] = words(BigInt(firstRow + r));
    for (let block = 0; 4 * block < dim; block++) {
      const [w0, w1, w2, w3] = philox4x32([rowLow, rowHigh, block, SEEDING_STREAM], words(seed));
      const four = [...normalPair(w0, w1), ...normalPair(w2, w3)];
      four.slice(0, dim - 4 * block).forEach((value, e) => (rows[r * dim + 4 * block + e] = stddev * value));
    }
  }
  return rows;
}
