import { HyperArcError } from '@hyperarc/kernels-cuda';
import type { ImagePair } from '../data/pairs.js';
import type { EmbeddedImages, Embeddings } from './embed.js';

export type { ImagePair };

/** A pair and how alike the model finds it. */
export interface ScoredPair extends ImagePair {
  readonly similarity: number;
}

/** Every image of the pairs once, in order of appearance. */
export function imagesOfPairs(pairs: readonly ImagePair[]): string[] {
  return [...new Set(pairs.flatMap((pair) => [pair.a, pair.b]))];
}

/**
 * Cosine similarities [N] of pairs of unit embeddings, in [−1, 1]. The squared distance is 2 − 2·similarity.
 * @throws HyperArcError E_RANGE if an image of a pair has no embedding
 */
export function pairSimilarities(embeddings: Embeddings, pairs: readonly ImagePair[]): Float64Array {
  const { valuesND, dim } = embeddings;
  const rows = new Map(embeddings.paths.map((path, n) => [path, n]));
  const rowOf = (path: string): number => {
    const row = rows.get(path);
    if (row === undefined)
      throw new HyperArcError('E_RANGE', `pairs: expected an image with an embedding, received ${path}`);
    return row;
  };
  return Float64Array.from(pairs, (pair) => {
    const a = rowOf(pair.a) * dim;
    const b = rowOf(pair.b) * dim;
    let dot = 0;
    for (let d = 0; d < dim; d++) dot += valuesND[a + d]! * valuesND[b + d]!;
    return Math.min(1, Math.max(-1, dot));
  });
}

/** Mean length of the embeddings of all pairs' images, one that is in several pairs counted in each: InsightFace's XNorm. */
export function meanNorm({ paths, normsN }: EmbeddedImages, pairs: readonly ImagePair[]): number {
  const norms = new Map(paths.map((path, n) => [path, normsN[n]!]));
  return pairs.reduce((sum, { a, b }) => sum + norms.get(a)! + norms.get(b)!, 0) / (2 * pairs.length);
}

/** Counts of same and different pairs in equal bins from the least to the greatest similarity; a bin holds its lower edge, the last one both. */
export interface SimilarityHistogram {
  /** [bins + 1] */
  edges: number[];
  same: number[];
  different: number[];
}

export function similarityHistogram(
  similarities: ArrayLike<number>,
  same: readonly boolean[],
  bins = 48,
): SimilarityHistogram {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < similarities.length; i++) {
    low = Math.min(low, similarities[i]!);
    high = Math.max(high, similarities[i]!);
  }
  // All alike: one bin's worth of room, so that the edges differ.
  const width = Math.max(high - low, 1e-3);
  const histogram: SimilarityHistogram = {
    edges: Array.from({ length: bins + 1 }, (_, i) => low + (width * i) / bins),
    same: new Array<number>(bins).fill(0),
    different: new Array<number>(bins).fill(0),
  };
  same.forEach((isSame, i) => {
    const bin = Math.min(bins - 1, Math.floor(((similarities[i]! - low) / width) * bins));
    histogram[isSame ? 'same' : 'different'][bin]! += 1;
  });
  return histogram;
}

/** The pairs the model judges worst: same people who look least alike, and different people who look most alike, worst first. */
export function worstPairs(
  similarities: ArrayLike<number>,
  pairs: readonly ImagePair[],
  count: number,
): { falseRejects: ScoredPair[]; falseAccepts: ScoredPair[] } {
  const scored = pairs.map((pair, i): ScoredPair => ({ ...pair, similarity: similarities[i]! }));
  const ascending = scored.sort((x, y) => x.similarity - y.similarity);
  return {
    falseRejects: ascending.filter((pair) => pair.same).slice(0, count),
    falseAccepts: ascending
      .filter((pair) => !pair.same)
      .reverse()
      .slice(0, count),
  };
}
