import * as tf from '@tensorflow/tfjs-core';

import type { MarginSoftmaxKernel } from './kernel.js';

/** The kernel for any backend that can be read synchronously: tensors are copied out, the engine called, results copied in. */
export const stagedMarginSoftmax: MarginSoftmaxKernel = (inputs, { centers, step, rule }) => {
  const backend = tf.backend();
  const read = <T>(tensor: tf.TensorInfo) => backend.readSync(tensor.dataId) as T;
  const result = centers.forward({
    embeddings: read<Float32Array>(inputs.embeddings),
    labels: read<Int32Array>(inputs.labels),
    margin: rule,
    rowParameters: inputs.rowParameters && read<Float32Array>(inputs.rowParameters),
    sampled: inputs.sampled && read<Int32Array>(inputs.sampled),
    step,
  });
  const [batch, dim] = inputs.embeddings.shape as [number, number];
  return [
    tf.scalar(result.loss, 'float32'),
    tf.tensor1d(result.lossPerSample),
    tf.tensor2d(result.embeddingGradient, [batch, dim]),
    tf.tensor1d(result.targetCosine),
    tf.tensor2d(result.rowGradient, [batch, 4]),
  ];
};
