import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { CosineOptions } from '../cosineBlocks.js';
import { checkK, searchGallery, type SearchResult } from '../exactSearch.js';
import { checkFiniteRows, checkSameDim, rowCount, type Features } from '../features.js';
import { TopK } from '../topK.js';
import { chooseLists, listsToReach } from './chooseLists.js';
import type { InvertedFile } from './invertedFile.js';
import { listBlocks } from './listBlocks.js';
import { checkTarget, listsForRecall, measureRecall, type RecallFigure } from './recall.js';
import { DRAW, gatherRows, sampleRows } from './sampleRows.js';

export const DEFAULT_RECALL = 0.99;
export const DEFAULT_CHECKED = 500;

export interface IndexSearchOptions extends CosineOptions {
  /** Lists whose rows each probe is compared with, in [1, lists]; this or `recall`. */
  readonly listsPerProbe?: number;
  /** As few lists as reach this recall of the k nearest, by its lower bound: a share in (0, 1]. Default 0.99. */
  readonly recall?: number;
  /** Probes that are searched exactly too, to measure the recall; all if there are fewer. Default 500. */
  readonly checked?: number;
}

/** What {@link searchGallery} gives, of the rows that were looked at, and how much of the exact answer that is. */
export interface IndexSearchResult extends SearchResult {
  readonly lists: number;
  /** At least; probes whose lists held fewer than k rows looked at more. */
  readonly listsPerProbe: number;
  /** Cosines computed, as a share of probes × rows: what exact search computes. */
  readonly compared: number;
  /** Of the nearest row and of the k nearest, measured in this search. */
  readonly recall: readonly RecallFigure[];
}

/** Pairs of probe and list that are held at a time. */
const PAIRS = 2 ** 22;

/**
 * Approximate search: the k rows of largest cosine for each probe among the rows of its nearest lists. Each cosine has the bits of exact search, equal ones
 * are ordered by index, every probe gets k rows, and with all lists the answer is that of exact search. How much is missing is measured: some probes, drawn
 * by the index's seed, are searched exactly too. Deterministic on any number of threads. Memory beside the inputs: 40 MB of blocks for D = 512, 16 MB
 * of cosines to centroids, 32 MB of pairs of probe and list, and 8·M·k bytes of results.
 *
 * @param probes [M, D] of any length
 * @param k in [1, N]
 * @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE; E_NONFINITE naming the row; E_DEVICE, E_MEMORY from the engine.
 */
export async function searchIndex(
  index: InvertedFile,
  probes: Features,
  k: number,
  options: IndexSearchOptions = {},
): Promise<IndexSearchResult> {
  const { gallery, seed } = index;
  const lists = index.starts.length - 1;
  const rows = rowCount('gallery', gallery);
  const count = rowCount('probes', probes);
  checkSameDim('gallery', gallery, 'probes', probes);
  checkK(k, rows);
  const checked = checkIndexSearch(options, lists, count);
  const { valuesND, dim } = probes;
  checkFiniteRows('probes', valuesND, dim);
  const { device = 'auto' } = options;

  const drawn = sampleRows(checked, count, seed, DRAW.recall).sort();
  const sample = { valuesND: gatherRows(valuesND, dim, drawn), dim };
  const exact = await searchGallery(gallery, sample, k, { device });
  let { listsPerProbe } = options;
  if (listsPerProbe === undefined) {
    const needed = await listsToReach(index, sample, exact.indices, k, { device });
    listsPerProbe = listsForRecall(needed, k, options.recall ?? DEFAULT_RECALL, count);
  }

  const { best, cosines } = await scanLists(index, probes, k, listsPerProbe, options);
  const found = new Int32Array(exact.indices.length);
  drawn.forEach((probe, i) => found.set(best.indices.subarray(probe * k, (probe + 1) * k), i * k));
  return {
    indices: best.indices,
    cosines: best.cosines,
    lists,
    listsPerProbe,
    compared: cosines / (count * rows),
    recall: [...new Set([1, k])].map((depth) => measureRecall(found, exact.indices, k, depth, count)),
  };
}

/** Compares each probe with the rows of its nearest lists; `cosines` is how many that were. */
async function scanLists(
  index: InvertedFile,
  probes: Features,
  k: number,
  listsPerProbe: number,
  { device = 'auto', onProgress }: CosineOptions,
): Promise<{ best: TopK; cosines: number }> {
  const { valuesND, dim } = probes;
  const count = valuesND.length / dim;
  const best = new TopK(count, k);
  const atOnce = Math.max(1, Math.floor(PAIRS / listsPerProbe));
  const rowsInAll = index.rows.length * Math.ceil(count / atOnce);
  let cosines = 0;
  let looked = 0;
  for (let first = 0; first < count; first += atOnce) {
    const some = { valuesND: valuesND.subarray(first * dim, (first + atOnce) * dim), dim };
    const chosen = await chooseLists(index, some, listsPerProbe, k, { device });
    const probesOf = invert(chosen, index.starts.length - 1, first);
    for await (const block of listBlocks(index, probes, probesOf, device)) {
      best.addScattered(block);
      cosines += block.probes.length * block.rows.length;
      looked += block.sameRows ? 0 : block.rows.length;
      onProgress?.(looked, rowsInAll);
    }
  }
  // Lists that no probe looks at are not among those looked at.
  onProgress?.(rowsInAll, rowsInAll);
  return { best, cosines };
}

/**
 * How many of `probes` probes are searched exactly.
 * @throws HyperArcError E_RANGE for options that do not fit an index of `lists` lists, or a recall that so few cannot show.
 */
export function checkIndexSearch(
  { listsPerProbe, recall, checked: wanted = DEFAULT_CHECKED }: IndexSearchOptions,
  lists: number,
  probes: number,
): number {
  if (!Number.isInteger(wanted) || wanted < 1)
    throw new HyperArcError('E_RANGE', `checked: expected a whole number of at least 1, received ${wanted}`);
  const checked = Math.min(wanted, probes);
  if (listsPerProbe === undefined) {
    checkTarget(recall ?? DEFAULT_RECALL, checked, probes);
    return checked;
  }
  if (recall !== undefined)
    throw new HyperArcError(
      'E_RANGE',
      'recall: expected none beside listsPerProbe, received both; leave one of them out',
    );
  if (Number.isInteger(listsPerProbe) && listsPerProbe >= 1 && listsPerProbe <= lists) return checked;
  const range = `[1, ${lists}], the lists of the index`;
  throw new HyperArcError('E_RANGE', `listsPerProbe: expected a whole number in ${range}, received ${listsPerProbe}`);
}

/** For each list the probes that look at it, ascending; the lists of the first probe, number `first`, come first. */
function invert(listsOf: readonly Int32Array[], lists: number, first: number): Int32Array[] {
  const counts = new Int32Array(lists);
  for (const chosen of listsOf) for (const list of chosen) counts[list]! += 1;
  const probesOf = Array.from(counts, (count) => new Int32Array(count));
  counts.fill(0);
  listsOf.forEach((chosen, i) => {
    for (const list of chosen) probesOf[list]![counts[list]!++] = first + i;
  });
  return probesOf;
}
