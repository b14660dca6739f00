import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ReferenceRule } from '../../dist/reference/index.js';
import { centerGradient, forward } from '../../dist/reference/index.js';
import { expectClose } from './support.js';

/** Written by vectors/make_vectors.py from other implementations. */
interface LossVectors {
  classes: number;
  dim: number;
  embeddings: number[];
  centers: number[];
  labels: number[];
  cases: { name: string; rule: ReferenceRule; loss: number; embeddingGradient: number[]; centerGradient: number[] }[];
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/losses.json', import.meta.url), 'utf8')) as LossVectors;

describe('values of other implementations', () => {
  it.each(vectors.cases)('$name', ({ rule, loss, embeddingGradient, centerGradient: expectedCenterGradient }) => {
    const { classes, dim, embeddings, labels } = vectors;
    const centers = { classes, subCenters: 1, dim, firstClass: 0, weights: vectors.centers };
    const step = forward([centers], { embeddings, labels, rule });
    expect(step.loss).toBeCloseTo(loss, 10);
    expectClose(step.embeddingGradient, embeddingGradient, 1e-10);
    expectClose(centerGradient(centers, [step]), expectedCenterGradient, 1e-10);
  });

  it('hold a sample beyond θ + m = π', () => {
    const { classes, dim, embeddings, labels, cases } = vectors;
    const centers = { classes, subCenters: 1, dim, firstClass: 0, weights: vectors.centers };
    const { targetCosine } = forward([centers], { embeddings, labels, rule: cases[0].rule });
    expect(Math.min(...targetCosine)).toBeLessThan(Math.cos(Math.PI - 0.5));
  });
});
