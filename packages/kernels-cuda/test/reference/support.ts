import { expect } from 'vitest';
import type { ReferenceBatch, ReferenceCenters, ReferenceRule } from '../../dist/reference/index.js';
import { centerGradient, classCosine, forward, seedRows, unit } from '../../dist/reference/index.js';

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

/** Element-wise |actual − expected| ≤ tolerance·max(1, |expected|); NaN where NaN is expected. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let e = 0; e < expected.length; e++) {
    if (Number.isNaN(expected[e])) {
      expect(actual[e], `element ${e}`).toBeNaN();
      continue;
    }
    const error = Math.abs(actual[e] - expected[e]) / Math.max(1, Math.abs(expected[e]));
    expect(error, `element ${e}: ${actual[e]} for ${expected[e]}`).toBeLessThanOrEqual(tolerance);
  }
}

/** The row parameters [B, 4] of a batch: its own, or the rule's numbers for every sample. */
export function rowParametersOf({ rule, labels, rowParameters }: ReferenceBatch): Float64Array {
  const { scale, m1, m2, m3 } = rule;
  return Float64Array.from(rowParameters ?? Array.from(labels).flatMap(() => [scale, m1, m2, m3]));
}

/**
 * Every gradient of the mean loss against central differences, element by element: by embeddings, centres and row parameters (s only
 * without a negative rule, where its gradient is formed).
 */
export function expectTrueGradients({ centers, batch }: Problem, sampled?: number[], tolerance = 1e-7): void {
  const step = forward([centers], batch, [sampled]);
  const lossAtX = (embeddings: Float64Array) => forward([centers], { ...batch, embeddings }, [sampled]).loss;
  const lossAtW = (weights: Float64Array) => forward([{ ...centers, weights }], batch, [sampled]).loss;
  const lossAtP = (rowParameters: Float64Array) => forward([centers], { ...batch, rowParameters }, [sampled]).loss;
  expectClose(step.embeddingGradient, finiteDifferences(lossAtX, batch.embeddings), tolerance);
  expectClose(centerGradient(centers, [step]), finiteDifferences(lossAtW, centers.weights), tolerance);
  const byRow = finiteDifferences(lossAtP, rowParametersOf(batch));
  if (batch.rule.negatives) byRow.forEach((_, e) => (byRow[e] = e % 4 === 0 ? NaN : byRow[e]!));
  expectClose(step.rowGradient, byRow, tolerance);
}

/** Puts embedding i at angle θ from its centre. */
export function placeAtAngle({ centers, batch }: Problem, i: number, theta: number): void {
  const { dim } = centers;
  const label = batch.labels[i];
  const w = unit(centers.weights.slice(label * dim, (label + 1) * dim));
  const x = batch.embeddings.slice(i * dim, (i + 1) * dim);
  const along = classCosine(x, [w]).cosine;
  const aside = unit(x.map((value, d) => value - along * w[d]));
  batch.embeddings.set(
    w.map((value, d) => 2 * (Math.cos(theta) * value + Math.sin(theta) * aside[d])),
    i * dim,
  );
}
