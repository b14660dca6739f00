import * as tf from '@tensorflow/tfjs-core';

/**
 * Whether position d of the last, new dimension is the index: int32 [...] → bool [..., depth]. In place of tf.oneHot, which
 * refuses depth 1 and whose float32 results are wrong on the wasm backend (4.22 writes the bits of integers).
 */
export function indicators(indices: tf.Tensor, depth: number): tf.Tensor {
  return tf.equal(tf.expandDims(indices, -1), tf.range(0, depth, 1, 'int32'));
}
