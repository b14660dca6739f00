import '@tensorflow/tfjs-backend-cpu';
import { sampleClasses } from '@hyperarc/kernels-cuda/reference';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkAgainstPublished, headCases, SHAPE } from './adaptive-cases.js';
import { engineHead } from './adaptive-heads.js';

beforeAll(() => tf.setBackend('cpu'));

describe.each(Object.entries(headCases))('PartialFC, %s', (_, headCase) => {
  it.each([1, 2])('is the published head step by step, state included, K = %i', (subCenters) => {
    const trained = engineHead(headCase.spec, subCenters);
    checkAgainstPublished(headCase, trained, subCenters);
    trained.dispose();
  });

  it('is the published head over the classes that partial FC draws', () => {
    const rate = 0.75;
    const trained = engineHead(headCase.spec, 1, rate);
    checkAgainstPublished(headCase, trained, 1, (labels, t) => {
      const request = { classes: SHAPE.classes, firstClass: 0, labels, rate, seed: 5n, step: BigInt(t), shard: 0 };
      const sampled = Array.from(sampleClasses(request));
      expect(sampled.length).toBe(6);
      return sampled;
    });
    trained.dispose();
  });
});
