import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { MarginHead, type MarginSpec } from '../dist/index.js';
import { checkAgainstPublished, headCases, SHAPE, type TrainedHead } from './adaptive-cases.js';

beforeAll(() => tf.setBackend('cpu'));

function tfjsHead(margin: MarginSpec, subCenters: number): TrainedHead {
  const head = new MarginHead({ classes: SHAPE.classes, dim: SHAPE.dim, margin, subCenters, seed: 5, stddev: 1 });
  return {
    step(embeddings, labels, learningRate) {
      const x = tf.variable(embeddings);
      const { value, grads } = tf.variableGrads(() => head.loss(x as unknown as tf.Tensor2D, labels));
      const result = { loss: value.dataSync()[0], embeddingGradient: grads[x.name].arraySync() as number[][] };
      const moved = tf.tidy(() => tf.sub(head.centers, tf.mul(grads[head.centers.name], learningRate)));
      (head.centers as tf.Variable).assign(moved);
      tf.dispose([value, grads, x, moved]);
      return result;
    },
    centers: () => tf.tidy(() => tf.reshape(head.centers, [-1, SHAPE.dim]).arraySync() as number[][]),
    state: () => head.state(),
    dispose: () => head.dispose(),
  };
}

describe.each(Object.entries(headCases))('MarginHead, %s', (_, headCase) => {
  it.each([1, 2])('is the published head step by step, state included, K = %i', (subCenters) => {
    const trained = tfjsHead(headCase.spec, subCenters);
    checkAgainstPublished(headCase, trained, subCenters);
    trained.dispose();
  });
});
