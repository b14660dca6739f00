import { describe, expect, it } from 'vitest';
import { centerGradient, drawnRows, forward, sgdUpdate } from '../../dist/reference/index.js';
import { ARCFACE, expectClose, NORMFACE, problem } from './support.js';

describe('shards', () => {
  it('give together what one shard gives', () => {
    const { centers, batch } = problem(21, 6, 7, 4, ARCFACE, 2);
    const whole = forward([centers], batch);
    const cut = 3 * 2 * 4;
    const shards = [
      { ...centers, classes: 3, weights: centers.weights.slice(0, cut) },
      { ...centers, classes: 4, firstClass: 3, weights: centers.weights.slice(cut) },
    ];
    const step = forward(shards, batch);
    expectClose(step.sampleLoss, whole.sampleLoss, 1e-12);
    expectClose(step.embeddingGradient, whole.embeddingGradient, 1e-12);
    const gradients = shards.flatMap((shard, h) => [...centerGradient(shard, [step], h)]);
    expectClose(gradients, centerGradient(centers, [whole]), 1e-12);
  });
});

describe('accumulation', () => {
  it('of micro-batches equals one large batch', () => {
    const { centers, batch } = problem(22, 7, 5, 4);
    const part = (from: number, to: number) =>
      forward([centers], {
        ...batch,
        embeddings: batch.embeddings.slice(4 * from, 4 * to),
        labels: Array.from(batch.labels).slice(from, to),
      });
    const whole = centerGradient(centers, [forward([centers], batch)]);
    expectClose(centerGradient(centers, [part(0, 2), part(2, 3), part(3, 7)]), whole, 1e-13);
  });
});

describe('invariances', () => {
  it('the lengths of embeddings and centres do not change the loss; gradients shrink with them', () => {
    const { centers, batch } = problem(23, 5, 6, 4);
    const step = forward([centers], batch);
    const longer = forward([centers], { ...batch, embeddings: batch.embeddings.map((v) => 3 * v) });
    expectClose(longer.sampleLoss, step.sampleLoss, 1e-12);
    expectClose(
      longer.embeddingGradient.map((v) => 3 * v),
      step.embeddingGradient,
      1e-12,
    );
  });

  it('both gradients are orthogonal to what they move', () => {
    const { centers, batch } = problem(24, 5, 6, 4);
    const step = forward([centers], batch);
    const along = (rows: Float64Array, gradient: Float64Array, i: number) =>
      [0, 1, 2, 3].reduce((sum, d) => sum + rows[4 * i + d] * gradient[4 * i + d], 0);
    for (let i = 0; i < 5; i++) expect(along(batch.embeddings, step.embeddingGradient, i)).toBeCloseTo(0, 12);
    const gradient = centerGradient(centers, [step]);
    for (let j = 0; j < 6; j++) expect(along(centers.weights, gradient, j)).toBeCloseTo(0, 12);
  });

  it('a margin makes the loss larger', () => {
    const { centers, batch } = problem(25, 6, 7, 8);
    const plain = forward([centers], { ...batch, rule: NORMFACE });
    const margin = forward([centers], batch);
    margin.sampleLoss.forEach((loss, i) => expect(loss).toBeGreaterThan(plain.sampleLoss[i]));
  });

  it('K equal sub-centres give the loss of one, and all of the gradient to the first', () => {
    const { centers, batch } = problem(26, 5, 6, 4);
    const rows = Array.from({ length: 6 }, (_, j) => centers.weights.slice(4 * j, 4 * j + 4));
    const doubled = { ...centers, subCenters: 2, weights: Float64Array.from(rows.flatMap((w) => [...w, ...w])) };
    const [one, two] = [forward([centers], batch), forward([doubled], batch)];
    expectClose(two.sampleLoss, one.sampleLoss, 0);
    const gradient = centerGradient(centers, [one]);
    const expected = rows.flatMap((_, j) => [...gradient.slice(4 * j, 4 * j + 4), 0, 0, 0, 0]);
    expectClose(centerGradient(doubled, [two]), expected, 0);
  });

  it('a sample of all classes is no sample', () => {
    const { centers, batch } = problem(27, 5, 6, 4);
    expect(forward([centers], batch, [[0, 1, 2, 3, 4, 5]]).loss).toBe(forward([centers], batch).loss);
  });
});

describe('SGD', () => {
  const options = { learningRate: 0.1, momentum: 0.9, weightDecay: 0.01, unsampled: 'frozen' } as const;
  const [weights, momentum, gradient] = [
    [1, 2, 3, 4],
    [10, 20, 30, 40],
    [0.5, 0.25, 0, 0],
  ];

  it('is PyTorch’s on drawn rows and nothing on frozen ones', () => {
    const next = sgdUpdate(weights, momentum, gradient, 2, (row) => row === 0, options);
    expectClose(next.momentum, [9 + 0.5 + 0.01, 18 + 0.25 + 0.02, 30, 40], 1e-15);
    expectClose(next.weights, [1 - 0.951, 2 - 1.827, 3, 4], 1e-14);
  });

  it('moves decayed rows by momentum and weight decay', () => {
    const next = sgdUpdate(weights, momentum, gradient, 2, (row) => row === 0, { ...options, unsampled: 'decayed' });
    expectClose(next.momentum.slice(2), [27 + 0.03, 36 + 0.04], 1e-15);
    expectClose(next.weights.slice(2), [3 - 2.703, 4 - 3.604], 1e-14);
  });

  it('counts a row as drawn when any step drew its class', () => {
    const { centers, batch } = problem(28, 1, 6, 4, ARCFACE, 2);
    const steps = [forward([centers], batch, [[0, 2]]), forward([centers], batch, [[0, 5]])];
    const isDrawn = drawnRows(steps, 2);
    expect(Array.from({ length: 12 }, (_, r) => isDrawn(r))).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
      false,
      false,
      false,
      false,
      true,
      true,
    ]);
    expect(drawnRows([...steps, forward([centers], batch)], 2)(3)).toBe(true);
  });
});
