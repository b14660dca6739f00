import '@tensorflow/tfjs-backend-cpu';
import { sampleClasses } from '@hyperarc/kernels-cuda/reference';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { PartialFC } from '../dist/engine/index.js';
import type { MarginSpec } from '../dist/index.js';
import { checkAgainstPublished, headCases, SHAPE, type TrainedHead } from './adaptive-cases.js';

beforeAll(() => tf.setBackend('cpu'));

function engineHead(margin: MarginSpec, subCenters: number, rate = 1): TrainedHead {
  const { classes, dim } = SHAPE;
  const head = new PartialFC({ classes, dim, margin, subCenters, rate, seed: 5, stddev: 1, device: 'cpu' });
  return {
    step(embeddings, labels, learningRate) {
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => head.loss(x as tf.Tensor2D, labels))(embeddings);
      const result = { loss: value.dataSync()[0], embeddingGradient: grad.arraySync() as number[][] };
      tf.dispose([value, grad]);
      head.update({ learningRate, momentum: 0, weightDecay: 0 });
      return result;
    },
    centers() {
      const values = head.centers.readRows(0, classes * subCenters);
      return Array.from({ length: classes * subCenters }, (_, r) =>
        Array.from(values.subarray(r * dim, (r + 1) * dim)),
      );
    },
    state: () => head.state().margin,
    dispose: () => head.dispose(),
  };
}

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
