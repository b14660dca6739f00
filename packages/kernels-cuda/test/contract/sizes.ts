import type { Size } from './data.js';

/** A size, and why it is in the grid. */
export interface ExplainedSize extends Size {
  readonly why: string;
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** Vector registers hold 16, 8 or 4 floats, and unrolled loops several registers: every tail of each dimension must be right. */
const TAILS: ExplainedSize[] = [
  ...upTo(17).map((dim) => ({ batch: 3, classes: 5, dim, why: `D tail ${dim % 16} of 16` })),
  ...[31, 33, 47, 63, 65, 127, 129].map((dim) => ({ batch: 3, classes: 5, dim, why: 'D beside an unrolled length' })),
  ...upTo(17).map((classes) => ({ batch: 2, classes, dim: 8, why: `C tail ${classes % 16} of 16` })),
  ...upTo(17).map((batch) => ({ batch, classes: 7, dim: 8, why: `B tail ${batch % 16} of 16` })),
  { batch: 31, classes: 33, dim: 17, why: 'tails of 16 and 32 in all three at once' },
  { batch: 65, classes: 63, dim: 33, why: 'tails of 64 in B and C at once' },
];

const EXTREMES: ExplainedSize[] = [
  { batch: 1, classes: 1, dim: 1, why: 'the smallest of everything: no negatives, no tangent' },
  { batch: 5, classes: 1, dim: 12, why: 'one class: the loss is 0' },
  { batch: 1, classes: 2, dim: 2, why: 'one sample, one negative, a plane' },
  { batch: 257, classes: 61, dim: 16, why: 'more samples than a batch tile, each class many times' },
  { batch: 5, classes: 1031, dim: 16, why: 'a prime number of classes, more than a small class tile' },
  { batch: 2, classes: 20011, dim: 3, why: 'a prime number of classes, several cache blocks even at tiny D' },
  { batch: 9, classes: 67, dim: 512, why: 'the usual D of face recognition' },
  { batch: 3, classes: 21, dim: 1000, why: 'D past 512 that 16 does not divide' },
  { batch: 2, classes: 5, dim: 4096, why: 'the largest D' },
];

const SUB_CENTERS: ExplainedSize[] = [
  { batch: 6, classes: 11, dim: 9, subCenters: 2, why: 'K = 2' },
  { batch: 7, classes: 13, dim: 20, subCenters: 3, why: 'K = 3, as published; rows do not fill a tile of classes' },
  { batch: 5, classes: 131, dim: 8, subCenters: 3, why: 'K = 3, class groups that straddle tiles' },
  { batch: 4, classes: 3, dim: 8, subCenters: 16, why: 'the largest K' },
  { batch: 4, classes: 1, dim: 8, subCenters: 3, why: 'one class of several sub-centres: no negatives' },
];

/** Thread blocks of a GPU take 64 or 128 samples and classes at a time, and rows of 128, 256 or 512 columns: both sides of each. */
const GPU_TILES: ExplainedSize[] = [
  { batch: 63, classes: 65, dim: 24, why: 'beside a tile of 64 samples and of 64 classes' },
  { batch: 64, classes: 128, dim: 8, why: 'whole tiles, nothing over' },
  { batch: 127, classes: 129, dim: 16, why: 'beside a tile of 128 samples and of 128 classes' },
  { batch: 129, classes: 127, dim: 16, why: 'one sample more than a tile' },
  { batch: 3, classes: 300, dim: 128, why: 'several tiles of classes, rows of exactly 128' },
  { batch: 17, classes: 70, dim: 136, why: 'rows a little longer than 128' },
  { batch: 5, classes: 40, dim: 256, why: 'rows of exactly 256' },
  { batch: 4, classes: 33, dim: 257, why: 'rows a little longer than 256' },
  { batch: 5, classes: 19, dim: 513, why: 'rows longer than the tensor-core kernels take' },
];

export const SIZES: readonly ExplainedSize[] = [...TAILS, ...EXTREMES, ...SUB_CENTERS, ...GPU_TILES];
