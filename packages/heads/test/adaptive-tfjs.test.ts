import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { checkAgainstPublished, headCases } from './adaptive-cases.js';
import { tfjsHead } from './adaptive-heads.js';

describe.each(['cpu', 'wasm'])('MarginHead on %s', (backend) => {
  beforeAll(() => tf.setBackend(backend));

  describe.each(Object.entries(headCases))('%s', (_, headCase) => {
    it.each([1, 2])('is the published head step by step, state included, K = %i', (subCenters) => {
      const trained = tfjsHead(headCase.spec, subCenters);
      checkAgainstPublished(headCase, trained, subCenters);
      trained.dispose();
    });
  });
});
