import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** Feature vectors (embeddings, templates), one a row: [N, D] float32, of any length unless it is said. `Embeddings` are of this kind. */
export interface Features {
  readonly valuesND: Float32Array;
  readonly dim: number;
}

/** N. @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE (a dim outside [1, 4096], no row). */
export function rowCount(name: string, { valuesND, dim }: Features): number {
  if (!(valuesND instanceof Float32Array)) {
    throw new HyperArcError('E_DTYPE', `${name}.valuesND: expected a Float32Array, received ${typeof valuesND}`);
  }
  if (!Number.isInteger(dim) || dim < 1 || dim > 4096) {
    throw new HyperArcError('E_RANGE', `${name}.dim: expected a whole number in [1, 4096], received ${dim}`);
  }
  if (valuesND.length === 0 || valuesND.length % dim !== 0) {
    const expected = `one or more rows of ${dim} numbers`;
    throw new HyperArcError('E_SHAPE', `${name}.valuesND: expected ${expected}, received ${valuesND.length} numbers`);
  }
  return valuesND.length / dim;
}

/** @throws HyperArcError E_SHAPE unless both have the same number of columns. */
export function checkSameDim(nameA: string, a: Features, nameB: string, b: Features): void {
  if (a.dim === b.dim) return;
  throw new HyperArcError('E_SHAPE', `${nameB}.dim: expected ${a.dim} as of ${nameA}, received ${b.dim}`);
}

/** @throws HyperArcError E_NONFINITE naming the first row of `values` [n, D] with NaN or Inf; `firstRow` is the number of its first row. */
export function checkFiniteRows(name: string, values: Float32Array, dim: number, firstRow = 0): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    const row = `${name}[${firstRow + Math.floor(i / dim)}]`;
    throw new HyperArcError(
      'E_NONFINITE',
      `${row}: expected finite numbers, received ${values[i]}; look at the features`,
    );
  }
}
