import { describe, expect, it } from 'vitest';
import type { ReferenceRule } from '../../dist/reference/index.js';
import { centerGradient, forward, targetLogit } from '../../dist/reference/index.js';
import type { Problem } from './support.js';
import { ARCFACE, expectClose, expectTrueGradients, placeAtAngle, problem } from './support.js';

describe('gradients of the mean loss against central differences', () => {
  it('ArcFace', () => expectTrueGradients(problem(1, 5, 7, 4)));
  it('one class: the loss is 0 and nothing moves', () => {
    const one = problem(2, 3, 1, 4);
    expect(forward([one.centers], one.batch).loss).toBe(0);
    expectTrueGradients(one);
  });
  it('one sample', () => expectTrueGradients(problem(3, 1, 6, 5)));
  it('one dimension short of a plane: D = 2', () => expectTrueGradients(problem(4, 4, 5, 2)));
  it('K = 3 sub-centres', () => expectTrueGradients(problem(5, 5, 4, 4, ARCFACE, 3)));
  it('partial FC', () => expectTrueGradients(problem(6, 3, 9, 4), [0, 1, 2, 5, 8]));
  it('per-sample parameters', () => {
    const { centers, batch } = problem(7, 3, 5, 4);
    const rowParameters = [16, 1, 0.5, 0, 8, 1.1, 0.3, 0.2, 24, 0.9, -0.1, 0.4];
    expectTrueGradients({ centers, batch: { ...batch, rowParameters } });
  });

  const fallbacks = ['hard', 'easy', 'none', 'clip'] as const;
  const margins = [
    { m1: 1, m2: 0.5, m3: 0 },
    { m1: 1, m2: 0, m3: 0.35 },
    { m1: 1, m2: 0.3, m3: 0.2 },
    { m1: 1.35, m2: 0, m3: 0 },
  ];
  it.each(fallbacks.flatMap((fallback) => margins.map((margin) => ({ ...ARCFACE, ...margin, fallback }))))(
    '$fallback ($m1, $m2, $m3) on both sides of the bound',
    (rule: ReferenceRule) => {
      const both = problem(8, 6, 7, 4, rule);
      [0.3, 1.2, 2.0, 2.4, 2.9, 3.1].forEach((theta, i) => placeAtAngle(both, i, theta));
      expectTrueGradients(both);
    },
  );
});

describe('straight-through', () => {
  const straight: ReferenceRule = { ...ARCFACE, fallback: 'none', gradient: 'straight-through' };

  it('is the true gradient of the loss whose target logit is linear in the cosine', () => {
    const { centers, batch } = problem(9, 6, 7, 4, straight);
    const step = forward([centers], batch);
    // T̃(c) = T + s·(c − c0): CosFace with the margin m3 that gives T at c0, sample by sample.
    const { scale } = straight;
    const rowParameters = Array.from(step.targetLogits).flatMap((logit, i) => [
      scale,
      1,
      0,
      step.targetCosine[i] - logit / scale,
    ]);
    const linear = { ...batch, rule: { ...ARCFACE, fallback: 'none' as const }, rowParameters };
    const linearStep = forward([centers], linear);
    expectClose(linearStep.sampleLoss, step.sampleLoss, 1e-12);
    expectClose(step.embeddingGradient, linearStep.embeddingGradient, 1e-12);
    expectClose(centerGradient(centers, [step]), centerGradient(centers, [linearStep]), 1e-12);
  });

  it('differs from the exact gradient, with equal losses', () => {
    const { centers, batch } = problem(9, 6, 7, 4, straight);
    const step = forward([centers], batch);
    const exact = forward([centers], { ...batch, rule: { ...straight, gradient: 'exact' } });
    expect(step.loss).toBe(exact.loss);
    const largest = Math.max(...step.embeddingGradient.map((g, e) => Math.abs(g - exact.embeddingGradient[e])));
    expect(largest).toBeGreaterThan(1e-2);
  });
});

describe('edges of the unit sphere', () => {
  it('stays finite at c = ±1 exactly, where the target adds nothing to either gradient', () => {
    for (const sign of [1, -1]) {
      const { centers, batch } = problem(10, 3, 5, 4);
      for (let i = 0; i < 3; i++) {
        batch.embeddings.set(
          centers.weights.slice(4 * i, 4 * i + 4).map((value) => sign * 3 * value),
          4 * i,
        );
      }
      const step = forward([centers], batch);
      const gradients = [...step.embeddingGradient, ...centerGradient(centers, [step])];
      expect(gradients.every(Number.isFinite)).toBe(true);
      step.targetCosine.forEach((cosine) => expect(cosine).toBeCloseTo(sign, 14));
      const expected = targetLogit(sign, 0, ARCFACE).logit;
      step.targetLogits.forEach((logit) => expect(logit).toBeCloseTo(expected, 6));
    }
  });

  it('tends to the exact derivative as θ → 0: the slope is s·sin(m)', () => {
    const near = problem(11, 1, 2, 4);
    placeAtAngle(near, 0, 1e-4);
    expectTrueGradientsAt(near);
  });

  /** Finite differences whose step is small beside the angle. */
  function expectTrueGradientsAt({ centers, batch }: Problem): void {
    const { embeddingGradient } = forward([centers], batch);
    const step = 1e-7;
    batch.embeddings.forEach((value, e) => {
      const at = (moved: number) => {
        const embeddings = batch.embeddings.slice();
        embeddings[e] = moved;
        return forward([centers], { ...batch, embeddings }).loss;
      };
      expect(embeddingGradient[e]).toBeCloseTo((at(value + step) - at(value - step)) / (2 * step), 5);
    });
  }

  it('gives a zero embedding or centre no gradient, and its cosines the value 0', () => {
    const { centers, batch } = problem(12, 4, 5, 4);
    batch.embeddings.fill(0, 0, 4);
    centers.weights.fill(0, 4, 8);
    const step = forward([centers], batch);
    expect(step.targetCosine[0]).toBe(0);
    expect(step.targetCosine[1]).toBe(0);
    expect(step.targetLogits[1]).toBeCloseTo(16 * Math.cos(Math.PI / 2 + 0.5), 12);
    expect(Array.from(step.embeddingGradient.slice(0, 4))).toEqual([0, 0, 0, 0]);
    expect(Array.from(centerGradient(centers, [step]).slice(4, 8))).toEqual([0, 0, 0, 0]);
    expect([...step.embeddingGradient, ...centerGradient(centers, [step])].every(Number.isFinite)).toBe(true);
  });

  it('keeps the negatives at any scale', () => {
    const { centers, batch } = problem(13, 4, 6, 8, { ...ARCFACE, scale: 1024 });
    const step = forward([centers], batch);
    expect([...step.negativeLogSum, ...step.sampleLoss, ...step.embeddingGradient].every(Number.isFinite)).toBe(true);
  });
});
