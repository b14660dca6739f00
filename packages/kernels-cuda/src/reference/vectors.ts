/** Vector arithmetic of the reference. Every vector is a plain array of numbers of length D. */

/** Below this length a vector counts as zero: its unit vector, its cosines and its gradient are 0. */
export const ZERO_NORM = 1e-12;

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
}

export function norm(v: ArrayLike<number>): number {
  return Math.sqrt(dot(v, v));
}

/** v/‖v‖, or zeros where ‖v‖ < {@link ZERO_NORM}. */
export function unit(v: ArrayLike<number>): Float64Array {
  const length = norm(v);
  return Float64Array.from(v, (value) => (length < ZERO_NORM ? 0 : value / length));
}

/** total ← total + factor·v */
export function addScaled(total: Float64Array, factor: number, v: ArrayLike<number>): void {
  for (let d = 0; d < total.length; d++) total[d] += factor * v[d];
}

/** The part of v that is orthogonal to the unit vector `direction`: v − (v·direction)·direction. */
export function tangentPart(v: ArrayLike<number>, direction: ArrayLike<number>): Float64Array {
  const along = dot(v, direction);
  return Float64Array.from(v, (value, d) => value - along * direction[d]);
}

/** Row `index` of a row-major matrix, in float64. */
export function row(matrix: ArrayLike<number>, index: number, columns: number): Float64Array {
  return Float64Array.from({ length: columns }, (_, d) => matrix[index * columns + d]);
}
