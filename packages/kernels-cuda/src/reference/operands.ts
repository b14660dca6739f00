import { roundBf16 } from './bf16.js';
import type { ReferenceBatch, ReferenceCenters } from './problem.js';
import { unitCenters, unitEmbeddings } from './problem.js';
import { norm, row, ZERO_NORM } from './vectors.js';

/**
 * What the products of the negatives are made of, where target terms and projections always take exact x̂ and ŵ:
 * x̂ [B][D], or with bf16 operands every element of it rounded.
 */
export function operandEmbeddings({ operands, dim }: ReferenceCenters, batch: ReferenceBatch): Float64Array[] {
  const unit = unitEmbeddings(batch, dim);
  return operands === 'bf16' ? unit.map((x) => x.map(roundBf16)) : unit;
}

/** ŵ [C][K][D], or with bf16 operands the rounded centre divided by the length of the centre itself. */
export function operandCenters(centers: ReferenceCenters): Float64Array[][] {
  if (centers.operands !== 'bf16') return unitCenters(centers);
  const { classes, subCenters, dim, weights } = centers;
  return Array.from({ length: classes }, (_, j) =>
    Array.from({ length: subCenters }, (_, k) => {
      const center = row(weights, j * subCenters + k, dim);
      const length = norm(center);
      return center.map((value) => (length < ZERO_NORM ? 0 : roundBf16(value) / length));
    }),
  );
}
