import { buildIndex, listCount, type IndexOptions } from '../search/approximate/invertedFile.js';
import {
  checkIndexSearch,
  searchIndex,
  type IndexSearchOptions,
  type IndexSearchResult,
} from '../search/approximate/searchIndex.js';
import { cosineBlocks, type CosineOptions } from '../search/cosineBlocks.js';
import type { SearchResult } from '../search/exactSearch.js';
import { rowCount, type Features } from '../search/features.js';
import { TopK } from '../search/topK.js';
import { sortScores, strictTar, type TarFigure } from '../tarRules.js';
import { TopScores } from './topScores.js';

export interface DistractorVerification {
  impostorPairs: number;
  tarAtFar: TarFigure[];
}

/** What an index left out. */
export interface IndexFigures extends Omit<IndexSearchResult, keyof SearchResult> {
  kind: 'ivf';
  seed: number;
}

/** Approximate search of the distractors, by {@link buildIndex} and {@link searchIndex}. */
export interface DistractorIndex
  extends Omit<IndexOptions, keyof CosineOptions>, Omit<IndexSearchOptions, keyof CosineOptions> {}

export interface DistractorSearchOptions extends CosineOptions {
  /** Default 1e-6 to 1e-3. The largest decides the memory: 8 bytes · probes · distractors · FAR. */
  readonly fars?: readonly number[];
  /** Search the distractors through an index; default: exactly. */
  readonly index?: DistractorIndex;
  /** Called while the index is made. */
  readonly onIndexProgress?: (rowsDone: number, rows: number) => void;
}

/** What the figures need of a search of the distractors. */
export interface DistractorSearch {
  /** [probes, depth] the largest cosines, descending */
  readonly cosines: Float32Array;
  readonly verification: DistractorVerification | null;
  readonly index: IndexFigures | null;
}

/**
 * The `depth` nearest distractors of each probe, and TAR at FAR unless an index is asked for.
 * @param mates for each probe the cosines to its mates: the genuine scores
 */
export async function searchDistractors(
  probes: Features,
  distractors: Features,
  depth: number,
  mates: readonly number[][],
  options: DistractorSearchOptions,
): Promise<DistractorSearch> {
  if (options.index === undefined) return searchAll(probes, distractors, depth, mates, options);
  return searchSome(probes, distractors, depth, options.index, options);
}

/** @throws HyperArcError E_RANGE for an index that does not fit so many probes and distractors. */
export function checkDistractorIndex(index: DistractorIndex, probes: number, distractors: number): void {
  checkIndexSearch(index, listCount(index, distractors), probes);
}

/** Exactly, with the impostors' largest scores. */
async function searchAll(
  probes: Features,
  distractors: Features,
  depth: number,
  mates: readonly number[][],
  { fars = [1e-6, 1e-5, 1e-4, 1e-3], device, onProgress }: DistractorSearchOptions,
): Promise<DistractorSearch> {
  const probeRows = rowCount('probes', probes);
  const impostorPairs = probeRows * rowCount('distractors', distractors);
  const kept = Math.min(impostorPairs, Math.floor(impostorPairs * Math.max(...fars) * (1 + 1e-12)) + 1);
  const impostors = new TopScores(kept);
  const best = new TopK(probeRows, depth);
  const options = { ...(device !== undefined && { device }), ...(onProgress && { onProgress }) };
  for await (const block of cosineBlocks(distractors, probes, options)) {
    best.add(block);
    for (let i = 0; i < block.probes; i++) {
      impostors.add(block.cosines.subarray(i * block.stride, i * block.stride + block.rows));
    }
  }
  const genuine = sortScores('genuine', Float32Array.from(mates.flat()));
  const tarAtFar = strictTar(genuine, impostors.sorted(), fars, impostorPairs);
  return { cosines: best.cosines, verification: { impostorPairs, tarAtFar }, index: null };
}

/** Through an index. */
async function searchSome(
  probes: Features,
  distractors: Features,
  depth: number,
  { lists, seed = 0, ...search }: DistractorIndex,
  { device, onProgress, onIndexProgress }: DistractorSearchOptions,
): Promise<DistractorSearch> {
  const engine = device === undefined ? {} : { device };
  const made = await buildIndex(distractors, {
    ...engine,
    seed,
    ...(lists !== undefined && { lists }),
    ...(onIndexProgress && { onProgress: onIndexProgress }),
  });
  const result = await searchIndex(made, probes, depth, { ...engine, ...search, ...(onProgress && { onProgress }) });
  const { indices: _, cosines, ...figures } = result;
  return { cosines, verification: null, index: { kind: 'ivf', seed, ...figures } };
}
