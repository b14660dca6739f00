import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import * as heads from '../dist/index.js';
import type { MarginSpec, MarginState } from '../dist/index.js';
import * as published from './published-heads.js';
import { differences, norm, type Problem, type PublishedHead } from './published-heads.js';

export const SHAPE = { batch: 7, classes: 8, dim: 5 } as const;

/** A spec and the head that it should be. */
export interface HeadCase {
  readonly spec: MarginSpec;
  readonly head: PublishedHead;
}

const counts = [1, 3, 16, 50, 81, 200, 7, 2];
const groups = [0, 1, 1, 2, 0, 2, 2, 1];
const elastic = (base: 'arc' | 'cos', stddev: number, plus: boolean): HeadCase => ({
  spec: heads.elasticFace({ base, stddev, plus, seed: 9, fallback: 'none' }),
  head: published.elasticFace(base, stddev, plus, 9),
});

export const headCases: Record<string, HeadCase> = {
  magFace: { spec: heads.magFace(), head: published.magFace },
  adaFace: { spec: heads.adaFace(), head: published.adaFace },
  curricularFace: { spec: heads.curricularFace(), head: published.curricularFace },
  mvSoftmax: { spec: heads.mvSoftmax(), head: published.mvSoftmax },
  'elasticFace arc': elastic('arc', 0.05, false),
  'elasticFace cos': elastic('cos', 0.05, false),
  'elasticFace arc plus': elastic('arc', 0.2, true),
  'elasticFace cos plus': elastic('cos', 0.1, true),
  adaCos: { spec: heads.adaCos({ classes: SHAPE.classes }), head: published.adaCos(SHAPE.classes) },
  sphereFace: { spec: heads.sphereFace(), head: published.sphereFace },
  'sphereFace fixed': {
    spec: heads.sphereFace({ margin: 1.5, scale: 30, annealing: false }),
    head: published.fixedSphereFace(1.5, 30),
  },
  x2Softmax: { spec: heads.x2Softmax(), head: published.x2Softmax },
  circleSoftmax: { spec: heads.circleSoftmax({ scale: 64 }), head: published.circleSoftmax(64) },
  classVariant: {
    spec: heads.classVariant({ counts, margin: 0.4, falseMargin: 0.1 }),
    head: published.classVariant(counts, 0.4, 0.1),
  },
  groupMargin: {
    spec: heads.groupMargin({ groups, margins: [0.2, 0.45, 0.7] }),
    head: published.groupMargin(groups, [0.2, 0.45, 0.7]),
  },
  'inter-class filter': { spec: heads.withInterClassFilter(heads.arcFace()), head: published.filteredArcFace(0.4) },
};

/**
 * Embeddings and labels of step t: norms from below MagFace's range to beyond it, some near their centre, one on the far side. Numbers
 * are fp32, so that both sides work on the same.
 */
export function batchOf(t: number, centers: number[][][]): Pick<Problem, 'embeddings' | 'labels'> {
  const { batch, classes, dim } = SHAPE;
  const noise = tf.tidy(() => tf.randomNormal([batch, dim], 0, 1, 'float32', 100 + t).arraySync() as number[][]);
  const labels = noise.map((_, i) => ((i % 4) * 3 + t) % classes);
  const lengths = [4, 12, 30, 55, 90, 109, 150];
  const embeddings = noise.map((x, i) => {
    const towards = [2, 1, 0.5, -2, 0, 1.5, 3][(i + t) % batch];
    const w = centers[labels[i]][0];
    const mixed = x.map((v, d) => v + (towards * 2 * w[d]) / norm(w));
    return mixed.map((v) => Math.fround((v / norm(mixed)) * lengths[(i + 2 * t) % batch]));
  });
  return { embeddings, labels };
}

/** Largest relative error in norm over the whole and row by row; rows far below the largest count against that one. */
export function expectClose(actual: number[][], expected: number[][], tolerance: number): void {
  const largest = Math.max(...expected.map(norm));
  expected.forEach((row, i) => {
    const error = norm(row.map((v, d) => actual[i][d] - v));
    expect(error / Math.max(norm(row), 1e-3 * largest), `row ${i}`).toBeLessThan(tolerance);
  });
}

/** A head under test: one training step on fp32 data, and the centres it leaves. */
export interface TrainedHead {
  /** Loss and dX [B][D] of a batch, then the centres move by `learningRate`·dW. */
  step(
    embeddings: tf.Tensor2D,
    labels: number[],
    learningRate: number,
  ): { loss: number; embeddingGradient: number[][] };
  /** [C·K][D] */
  centers(): number[][];
  state(): MarginState;
  dispose(): void;
}

export const STEPS = 4;

/**
 * Trains `trained` and checks every step of it against the published head: loss, dX, what the centres move by, and state.
 * @param sampledAt classes that take part at step t; all by default
 */
export function checkAgainstPublished(
  { head }: HeadCase,
  trained: TrainedHead,
  subCenters: number,
  sampledAt?: (labels: number[], t: number) => number[],
): void {
  let state = head.initial;
  const learningRate = 1;
  for (let t = 0; t < STEPS; t++) {
    const rows = trained.centers();
    const centers = Array.from({ length: SHAPE.classes }, (_, c) => rows.slice(c * subCenters, (c + 1) * subCenters));
    const batch = batchOf(t, centers);
    const problem: Problem = { ...batch, centers, ...(sampledAt && { sampled: sampledAt(batch.labels, t) }) };
    const next = head.step(problem, state as never);
    state = next.state;
    const x = tf.tensor2d(problem.embeddings);
    const { loss, embeddingGradient } = trained.step(x, problem.labels, learningRate);
    x.dispose();

    const expectedLoss = head.loss(problem, next.detached as never);
    expect(Math.abs(loss - expectedLoss) / Math.max(1, expectedLoss)).toBeLessThan(2e-5);
    const gradient = differences(head, problem, next.detached);
    expectClose(embeddingGradient, gradient.embeddings, 1e-3);
    const moved = trained.centers().map((row, r) => row.map((v, d) => (rows[r][d] - v) / learningRate));
    expectClose(moved, gradient.centers.flat(), 1e-3);
    if (state !== null) expectSameNumbers(trained.state().adaptations.at(-1), state);
  }
}

/** Every number of `expected` is in `actual`, up to the rounding of fp32 cosines and norms. */
function expectSameNumbers(actual: unknown, expected: unknown): void {
  for (const [name, value] of Object.entries(expected as Record<string, number>)) {
    expect((actual as Record<string, number>)[name], name).toBeCloseTo(value, 4);
  }
}
