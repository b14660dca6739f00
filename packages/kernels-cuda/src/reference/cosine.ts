import type { ReferenceCenters } from './problem.js';
import { unitCenters } from './problem.js';
import { dot, row, unit } from './vectors.js';

/** Cosine of an embedding with a class, and the sub-centre that gives it. */
export interface ClassCosine {
  readonly cosine: number;
  readonly winner: number;
}

/** max_k x̂·ŵ_jk, ties to the lowest k (Sub-center ArcFace, Deng et al., ECCV 2020, eq. 3). */
export function classCosine(unitEmbedding: ArrayLike<number>, unitSubCenters: readonly Float64Array[]): ClassCosine {
  let winner = 0;
  let cosine = -Infinity;
  unitSubCenters.forEach((center, k) => {
    const candidate = dot(unitEmbedding, center);
    if (candidate > cosine) [cosine, winner] = [candidate, k];
  });
  return { cosine, winner };
}

/** Cosines [B, C] of embeddings [B, D] with every class. */
export function cosines(centers: ReferenceCenters, embeddingsBD: ArrayLike<number>): Float64Array {
  const { classes, dim } = centers;
  const batch = embeddingsBD.length / dim;
  const centerVectors = unitCenters(centers);
  const cosinesBC = new Float64Array(batch * classes);
  for (let i = 0; i < batch; i++) {
    const x = unit(row(embeddingsBD, i, dim));
    for (let j = 0; j < classes; j++) cosinesBC[i * classes + j] = classCosine(x, centerVectors[j]).cosine;
  }
  return cosinesBC;
}
