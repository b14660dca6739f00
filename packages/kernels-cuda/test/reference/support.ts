import { expect } from 'vitest';
import type { ReferenceBatch, ReferenceCenters, ReferenceRule } from '../../dist/reference/index.js';
import { seedRows } from '../../dist/reference/index.js';

export const ARCFACE: ReferenceRule = { scale: 16, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' };
export const NORMFACE: ReferenceRule = { ...ARCFACE, m2: 0 };

/** Normal numbers that depend on `seed` alone. */
export function normals(seed: number, count: number): Float64Array {
  return Float64Array.from(seedRows(BigInt(seed), 1, 0, 1, count));
}

export interface Problem {
  readonly centers: ReferenceCenters & { readonly weights: Float64Array };
  readonly batch: ReferenceBatch & { readonly embeddings: Float64Array };
}

/** A random problem whose labels are 0, 1, 2, … modulo C. */
export function problem(
  seed: number,
  batch: number,
  classes: number,
  dim: number,
  rule: ReferenceRule = ARCFACE,
  subCenters = 1,
): Problem {
  return {
    centers: { classes, subCenters, dim, firstClass: 0, weights: normals(seed, classes * subCenters * dim) },
    batch: {
      embeddings: normals(seed + 1, batch * dim),
      labels: Array.from({ length: batch }, (_, i) => i % classes),
      rule,
    },
  };
}

/** Central differences of `f` at `at`, element by element, with steps small beside numbers of size 1. */
export function finiteDifferences(f: (values: Float64Array) => number, at: ArrayLike<number>): Float64Array {
  const step = 1e-5;
  return Float64Array.from(at, (value, e) => {
    const moved = Float64Array.from(at);
    moved[e] = value + step;
    const above = f(moved);
    moved[e] = value - step;
    return (above - f(moved)) / (2 * step);
  });
}

/** Element-wise |actual − expected| ≤ tolerance·max(1, |expected|). */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let e = 0; e < expected.length; e++) {
    const error = Math.abs(actual[e] - expected[e]) / Math.max(1, Math.abs(expected[e]));
    expect(error, `element ${e}: ${actual[e]} for ${expected[e]}`).toBeLessThanOrEqual(tolerance);
  }
}
