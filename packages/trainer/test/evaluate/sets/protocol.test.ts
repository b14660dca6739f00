import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, expect, it } from 'vitest';
import {
  evaluatePairs,
  formatEvaluation,
  imagesOfPairs,
  openVerificationSet,
  type EmbeddingModel,
} from '../../../dist/evaluate/index.js';

interface Expected {
  foldAccuracies: number[];
  foldThresholds: number[];
  accuracyMean: number;
  accuracyStd: number;
  valMean: number;
  valStd: number;
  valFarMean: number;
  auc: number;
  eer: number;
  tarAtFar: number[];
  xNorm: number;
  same: boolean[];
}

const file = (name: string) => new URL(`./${name}`, import.meta.url).pathname;
/** Written by make_bins.py (NumPy, independent of this code) for the images of both files. */
const expected = JSON.parse(readFileSync(file('expected.json'), 'utf8')) as Expected;

const SIDE = 8;
const DIM = 12;
const weights = Array.from({ length: SIDE * SIDE * 3 }, (_, p) =>
  Array.from({ length: DIM }, (_, d) => Math.sin(1 + 0.7 * d + 1.3 * p)),
);
/** The fixed projection of make_bins.py. */
const projection: EmbeddingModel = {
  predict: (images) =>
    tf.tidy(() => tf.matMul(tf.reshape(images, [images.shape[0], -1]) as tf.Tensor2D, tf.tensor2d(weights))),
};

beforeAll(() => tf.setBackend('cpu'));

it.each(['python2.bin', 'python3.bin'])('%s gives the figures of the protocol', async (name) => {
  const set = openVerificationSet(file(name));
  expect(set.name).toBe(name.slice(0, 7));
  expect(set.pairs.map((pair) => pair.same)).toEqual(expected.same);
  // Image 10 is image 8 again, and embedded once.
  expect(set.pairs[5]!.a).toBe(set.pairs[4]!.a);
  expect(imagesOfPairs(set.pairs)).toHaveLength(127);
  const evaluation = await evaluatePairs({
    pairs: set.pairs,
    models: { projection },
    imageSize: SIDE,
    load: (paths, size) => set.load(paths, size),
    name: set.name,
    data: set.path,
    root: set.path,
    batchSize: 50,
  });
  const model = evaluation.models[0]!;
  expect(model.accuracy.folds.map(({ pairs }) => pairs)).toEqual([7, 7, 7, 7, 6, 6, 6, 6, 6, 6]);
  model.accuracy.folds.forEach(({ accuracy, thresholdSquaredDistance }, fold) => {
    expect(accuracy).toBeCloseTo(expected.foldAccuracies[fold]!, 12);
    expect(thresholdSquaredDistance).toBeCloseTo(expected.foldThresholds[fold]!, 12);
  });
  expect(model.accuracy.mean).toBeCloseTo(expected.accuracyMean, 12);
  expect(model.accuracy.std).toBeCloseTo(expected.accuracyStd, 12);
  expect(model.val.mean).toBeCloseTo(expected.valMean, 12);
  expect(model.val.std).toBeCloseTo(expected.valStd, 12);
  expect(model.val.farMean).toBeCloseTo(expected.valFarMean, 12);
  expect(model.auc).toBeCloseTo(expected.auc, 12);
  expect(model.eer).toBeCloseTo(expected.eer, 12);
  expect(model.tarAtFar[0]!.tar).toBeCloseTo(expected.tarAtFar[0]!, 12);
  expect(model.xNorm! / expected.xNorm).toBeCloseTo(1, 6);
  const lines = formatEvaluation(evaluation).split('\n');
  expect(lines[0]).toBe('verification sets, 10 folds, model projection');
  expect(lines[2]).toMatch(
    new RegExp(`^${set.name} +64 +127 +76\\.67 ± 15\\.71 +31\\.50 ± 21\\.91 +0\\.8196 +20\\.59 .* 17\\.63$`),
  );
});
