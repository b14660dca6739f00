import * as tf from '@tensorflow/tfjs-core';

import type { Fallback, GradientMode, HyperArcErrorCode } from '../binding.js';
import { HyperArcError } from '../errors.js';
import { loadAddon } from '../loader.js';
import { MARGIN_SOFTMAX, type MarginSoftmaxKernel } from './kernel.js';

/** The part of @tensorflow/tfjs-node's backend that runs TensorFlow ops by name. */
export interface TensorFlowBackend {
  executeMultipleOutputs(name: string, attributes: [], inputs: tf.TensorInfo[], outputs: number): tf.Tensor[];
}

/** Whether a tfjs backend is tfjs-node's, which this package does not depend on. */
export function isTensorFlowBackend(backend: object): backend is TensorFlowBackend {
  return 'executeMultipleOutputs' in backend && 'executeSingleOutput' in backend;
}

/**
 * Makes HyperArcMarginSoftmax an op of the TensorFlow that this process has loaded.
 * @returns empty on success, else why not.
 */
export function registerTensorFlowOp(): string {
  return loadAddon().registerTensorFlowOps();
}

// Numbers of the enums in native/include/hyperarc/types.h.
const FALLBACK_NUMBER: Record<Fallback, number> = { hard: 0, easy: 1, none: 2, clip: 3 };
const GRADIENT_NUMBER: Record<GradientMode, number> = { exact: 0, 'straight-through': 1 };

/** TensorFlow passes our op's error on as text: "…E_RANGE: labels[3]: expected …". */
function fromTensorFlow(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const match = /\b(E_[A-Z]+): ([^\n]*)/.exec(error.message);
  return match ? new HyperArcError(match[1] as HyperArcErrorCode, match[2]!, { cause: error }) : error;
}

/** The kernel on the TensorFlow backend: one TensorFlow op on the tensors' own memory. Inputs: native/src/tensorflow. */
export const tensorFlowMarginSoftmax: MarginSoftmaxKernel = (inputs, { centers, step, rule }) => {
  const backend = tf.backend() as unknown as TensorFlowBackend;
  const { scale, m1, m2, m3, fallback, gradient } = rule;
  const handles = [centers.id, step.id, FALLBACK_NUMBER[fallback], GRADIENT_NUMBER[gradient], inputs.sampled ? 1 : 0];
  const made: tf.Tensor[] = [];
  const make = <T extends tf.Tensor>(tensor: T): T => {
    made.push(tensor);
    return tensor;
  };
  try {
    return backend.executeMultipleOutputs(
      MARGIN_SOFTMAX,
      [],
      [
        inputs.embeddings,
        inputs.labels,
        make(tf.tensor1d([scale, m1, m2, m3], 'float32')),
        inputs.rowParameters ?? make(tf.zeros([0, 4], 'float32')),
        inputs.sampled ?? make(tf.zeros([0], 'int32')),
        make(tf.tensor1d(handles, 'int32')),
      ],
      4,
    ) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  } catch (error) {
    throw fromTensorFlow(error);
  } finally {
    tf.dispose(made);
  }
};
