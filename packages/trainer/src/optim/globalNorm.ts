import * as tf from '@tensorflow/tfjs-core';

import { tensorFlowOps } from '../layers/tensorflowOps.js';

function sumOfSquares(x: tf.Tensor): tf.Scalar {
  const ops = tensorFlowOps();
  // TensorFlow's L2Loss is Σx²/2 in one pass over memory.
  if (ops !== null) return tf.mul(ops.one('L2Loss', [x]), 2) as tf.Scalar;
  return tf.sum(tf.square(x)) as tf.Scalar;
}

/**
 * The Euclidean norm of all values of all tensors together, with one read back from the device.
 * @returns NaN or Infinity if a value is not finite, or if the sum of squares leaves the range of fp32.
 */
export function globalNorm(tensors: readonly tf.Tensor[]): number {
  const squares = tf.tidy(() => tf.sum(tf.stack(tensors.map(sumOfSquares))));
  const norm = Math.sqrt(squares.dataSync()[0]!);
  squares.dispose();
  return norm;
}

/** Names of the tensors that hold a NaN or an Infinity. One read back a tensor: for error messages. */
export function nonFiniteNames(tensors: tf.NamedTensorMap): string[] {
  const isBad = (tensor: tf.Tensor) => tf.tidy(() => tf.all(tf.isFinite(tensor)).dataSync()[0] === 0);
  return Object.keys(tensors).filter((name) => isBad(tensors[name]!));
}
