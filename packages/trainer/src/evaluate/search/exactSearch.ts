import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { cosineBlocks, type CosineOptions } from './cosineBlocks.js';
import { rowCount, type Features } from './features.js';
import { TopK } from './topK.js';

/** For each probe its k most similar rows of the gallery, most similar first. */
export interface SearchResult {
  /** [M, k], row by row */
  readonly indices: Int32Array;
  /** [M, k] cosines, descending */
  readonly cosines: Float32Array;
}

/**
 * Exact search: the k rows of largest cosine for each probe. Cosines are float32 by the engine (docs/numerics.md), so rows whose cosines differ by
 * less than about 1e-6 may change places; equal rows are ordered by index, lower first. Memory beside the inputs: that of
 * {@link cosineBlocks}, and 8·M·k bytes of results.
 *
 * @param gallery [N, D] of any length; `{ valuesND, dim }`
 * @param probes [M, D] of any length
 * @param k in [1, N]
 * @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE; E_NONFINITE naming the row; E_DEVICE, E_MEMORY from the engine.
 */
export async function searchGallery(
  gallery: Features,
  probes: Features,
  k: number,
  options: CosineOptions = {},
): Promise<SearchResult> {
  checkK(k, rowCount('gallery', gallery));
  const best = new TopK(rowCount('probes', probes), k);
  for await (const block of cosineBlocks(gallery, probes, options)) best.add(block);
  return best;
}

/** @throws HyperArcError E_RANGE unless k is a whole number in [1, rows]. */
export function checkK(k: number, rows: number): void {
  if (Number.isInteger(k) && k >= 1 && k <= rows) return;
  throw new HyperArcError('E_RANGE', `k: expected a whole number in [1, ${rows}], received ${k}`);
}
