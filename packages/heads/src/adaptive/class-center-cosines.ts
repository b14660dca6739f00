import * as tf from '@tensorflow/tfjs-core';
import { classCosines, shapeOfCenters, type Centers } from '../class-cosines.js';
import { indicators } from '../indicators.js';
import { unitRows } from '../unit-rows.js';

/** Stands for −∞ in the logit of a target: e^(this − anything) is 0 in fp32. */
const EXCLUDED = -1e30;

/** [B] cosine of each embedding with the centre of its class (the winner of K): O(B·K·D). Reads the device back. */
export function targetCosines(embeddings: tf.Tensor2D, centers: Centers, labels: Int32Array): Float32Array {
  const { classes, subCenters, dim } = shapeOfCenters(centers);
  return tf.tidy(() => {
    const own = tf.gather(tf.reshape(centers, [classes, subCenters * dim]), tf.tensor1d(labels, 'int32'));
    const { units } = unitRows(tf.reshape(own, [labels.length * subCenters, dim]));
    const x = tf.expandDims(unitRows(embeddings).units, 1);
    const cosines = tf.sum(tf.mul(tf.reshape(units, [labels.length, subCenters, dim]), x), 2);
    return tf.max(cosines, 1).dataSync<'float32'>();
  });
}

/** [B] ln Σ_{j≠y} e^(scale·cosθ_j) over all classes; −∞ for one class. Reads the device back. */
export function negativeLogSums(
  embeddings: tf.Tensor2D,
  centers: Centers,
  labels: Int32Array,
  scale: number,
): Float32Array {
  // tfjs's logSumExp of nothing but −∞ is NaN.
  if (centers.shape[0] === 1) return new Float32Array(labels.length).fill(-Infinity);
  return tf.tidy(() => {
    const logits = tf.mul(classCosines(embeddings, centers), scale);
    const isTarget = indicators(tf.tensor1d(labels, 'int32'), logits.shape[1]!);
    return tf.logSumExp(tf.where(isTarget, tf.fill(logits.shape, EXCLUDED), logits), 1).dataSync<'float32'>();
  });
}
