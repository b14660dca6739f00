import * as tf from '@tensorflow/tfjs-core';

import type {
  Fallback,
  GradientMode,
  HyperArcErrorCode,
  MarginFamily,
  NativeMarginRule,
  NativeNegativeBranch,
  NativePlan,
} from '../binding.js';
import { fromNativeWithPlan, HyperArcError } from '../errors.js';
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
const FAMILY_NUMBER: Record<MarginFamily, number> = { cosine: 0, sphere: 1, quadratic: 2, circle: 3 };

/** The rule as the op's inputs want it (native/src/tensorflow/margin_softmax_op.h): numbers for `rule` and enums for `handles`. */
function splitRule(rule: NativeMarginRule): { numbers: number[]; enums: number[] } {
  const { negatives } = rule;
  const [kind, fixed] = !negatives ? [0, 0] : negatives.threshold === 'target' ? [2, 0] : [1, negatives.threshold];
  const branch = ({ value, slope }: NativeNegativeBranch) => [...value, ...slope];
  const branches = negatives ? [...branch(negatives.above), ...branch(negatives.below)] : Array<number>(10).fill(0);
  return {
    numbers: [rule.scale, rule.m1, rule.m2, rule.m3, rule.blend, rule.clipRadians, fixed, ...branches],
    enums: [FALLBACK_NUMBER[rule.fallback], GRADIENT_NUMBER[rule.gradient], FAMILY_NUMBER[rule.family], kind],
  };
}

/** TensorFlow passes our op's error on as text: "…E_RANGE: labels[3]: expected …". */
function fromTensorFlow(error: unknown, plan: () => NativePlan): unknown {
  if (!(error instanceof Error)) return error;
  const match = /\b(E_[A-Z]+): ([^\n]*)/.exec(error.message);
  if (!match) return error;
  return fromNativeWithPlan(new HyperArcError(match[1] as HyperArcErrorCode, match[2]!, { cause: error }), plan);
}

/** The kernel on the TensorFlow backend: one TensorFlow op on the tensors' own memory. Inputs: native/src/tensorflow. */
export const tensorFlowMarginSoftmax: MarginSoftmaxKernel = (inputs, { centers, step, rule }) => {
  const backend = tf.backend() as unknown as TensorFlowBackend;
  const { numbers, enums } = splitRule(rule);
  const handles = [centers.id, step.id, inputs.sampled ? 1 : 0, ...enums];
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
        make(tf.tensor1d(numbers, 'float32')),
        inputs.rowParameters ?? make(tf.zeros([0, 4], 'float32')),
        inputs.sampled ?? make(tf.zeros([0], 'int32')),
        make(tf.tensor1d(handles, 'int32')),
      ],
      5,
    ) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  } catch (error) {
    throw fromTensorFlow(error, () => centers.planOf(inputs.labels.shape[0]!, inputs.sampled?.shape[0]));
  } finally {
    tf.dispose(made);
  }
};
