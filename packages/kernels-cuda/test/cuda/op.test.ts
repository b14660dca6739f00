/**
 * The TensorFlow op in the host harness, where TensorFlow's CPU tensors are taken for device memory, as a GPU's would be (docs/decisions/0010):
 * with the CPU engine, which gets a copy. With the CUDA engine: test/ops/margin-softmax.test.ts, run by vitest.emulated.config.ts.
 */
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';

import { marginSoftmax, marginSoftmaxPath } from '../../dist/ops/index.js';
import { hasTensorFlow, makeProblem, referenceOf, relativeError, rule } from '../ops/support.js';

describe.skipIf(!hasTensorFlow)('the TensorFlow op on device memory with the CPU engine', () => {
  it('equals the float64 reference', async () => {
    await tf.setBackend('tensorflow');
    expect(marginSoftmaxPath()).toBe('tensorflow-op');
    const problem = makeProblem(9, 19, 37, 'cpu');
    const expected = referenceOf(problem);
    const x = tf.tensor2d(problem.embeddings, [problem.batch, problem.dim]);
    const { grads } = tf.valueAndGrads((embeddings) => {
      const result = marginSoftmax(problem.centers, embeddings as tf.Tensor2D, problem.labels, { margin: rule });
      result.step.dispose();
      return result.loss;
    })([x]);
    expect(relativeError(grads[0]!.dataSync(), expected.embeddingGradient)).toBeLessThan(1e-5);
    tf.dispose([x, grads]);
    problem.centers.device.dispose();
  });
});
