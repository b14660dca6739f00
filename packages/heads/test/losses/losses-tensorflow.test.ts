import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { loadTensorFlow } from '../tensorflow.js';
import { describeLosses } from './suite.js';

const missing = loadTensorFlow();
if (missing === '') {
  beforeAll(() => tf.setBackend('tensorflow'));
  describeLosses('tensorflow');
} else {
  describe.skip(`losses on tensorflow, which does not load (scripts/setup-tensorflow): ${missing}`, () => {
    it('skipped', () => {});
  });
}
