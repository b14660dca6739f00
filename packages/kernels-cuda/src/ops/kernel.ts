import type * as tf from '@tensorflow/tfjs-core';

import type { ClassCenters } from '../centers.js';
import type { NativeMarginRule } from '../binding.js';
import type { Step } from '../step.js';

/** Name of the tfjs kernel on every backend, and of the op in TensorFlow. */
export const MARGIN_SOFTMAX = 'HyperArcMarginSoftmax';

/** Inputs of the kernel. */
export interface MarginSoftmaxInputs {
  /** [B, D] float32 */
  embeddings: tf.TensorInfo;
  /** [B] int32 */
  labels: tf.TensorInfo;
  /** [B, 4] float32 */
  rowParameters?: tf.TensorInfo | undefined;
  /** [n] int32 */
  sampled?: tf.TensorInfo | undefined;
}

/** Attributes of the kernel; it fills `step`. */
export interface MarginSoftmaxAttributes {
  centers: ClassCenters;
  step: Step;
  rule: NativeMarginRule;
}

/**
 * Outputs: loss [], loss per sample [B], gradient of the loss by the embeddings [B, D], target cosine [B], gradient of the loss by each
 * sample's (s, m1, m2, m3) [B, 4].
 */
export type MarginSoftmaxKernel = (
  inputs: MarginSoftmaxInputs,
  attributes: MarginSoftmaxAttributes,
) => [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo, tf.TensorInfo];
