import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { checkAgainstPublished, headCases } from './adaptive-cases.js';
import { engineHead, tfjsHead } from './adaptive-heads.js';
import { loadTensorFlow } from './tensorflow.js';

const missing = loadTensorFlow();
const title = missing === '' ? 'on tensorflow' : `on tensorflow, which does not load: ${missing}`;

// There the engine's head is a TensorFlow op: gradients through ‖x‖ and what reads the device back are its own path.
describe.skipIf(missing !== '')(title, () => {
  beforeAll(() => tf.setBackend('tensorflow'));
  const names = [
    'magFace',
    'adaFace',
    'sphereFace',
    'curricularFace',
    'adaCos',
    'elasticFace arc plus',
    'circleSoftmax',
  ];
  describe.each(names)('%s is the published head', (name) => {
    it.each([
      ['PartialFC', engineHead],
      ['MarginHead', tfjsHead],
    ] as const)('%s', (_, makeHead) => {
      const trained = makeHead(headCases[name].spec, 2);
      checkAgainstPublished(headCases[name], trained, 2);
      trained.dispose();
    });
  });
});
