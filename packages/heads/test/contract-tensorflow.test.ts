import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { describeContract } from '../../kernels-cuda/test/contract/register.js';
import { loadTensorFlow } from './tensorflow.js';
import { tfjsImplementation } from './tfjs-implementation.js';

const missing = loadTensorFlow();
if (missing === '') {
  beforeAll(() => tf.setBackend('tensorflow'));
  describeContract(tfjsImplementation('tensorflow'));
} else {
  describe.skip(`contract: pure tfjs on tensorflow, which does not load (scripts/setup-tensorflow): ${missing}`, () => {
    it('skipped', () => {});
  });
}
