import * as tf from '@tensorflow/tfjs-core';

import type { ClassCenters } from '../centers.js';
import { describeValue, requireObject } from '../checks.js';
import { callNative, HyperArcError } from '../errors.js';
import { checkMarginRule, type MarginRule } from '../margin.js';
import { Step } from '../step.js';
import {
  MARGIN_SOFTMAX,
  type MarginSoftmaxAttributes,
  type MarginSoftmaxInputs,
  type MarginSoftmaxKernel,
} from './kernel.js';
import { stagedMarginSoftmax } from './staged-kernel.js';
import { isTensorFlowBackend, registerTensorFlowOp, tensorFlowMarginSoftmax } from './tensorflow-kernel.js';

export interface MarginSoftmaxOptions {
  readonly margin: MarginRule;
  /**
   * [B, 4] float32: per-sample (s, m1, m2, m3) instead of the rule's four numbers. The loss is differentiable with respect to a tensor;
   * with `negatives` in the rule the gradient of its first column is NaN: the passes do not form it.
   */
  readonly rowParameters?: tf.Tensor | Float32Array | undefined;
  /** [n] int32: sorted unique local class indices that take part (partial FC); all by default. */
  readonly sampled?: tf.Tensor | Int32Array | undefined;
  /** A step whose memory to use again; a new one by default. */
  readonly step?: Step | undefined;
}

export interface MarginSoftmaxResult {
  /** Mean loss in nats, differentiable with respect to the embeddings and the row parameters. */
  readonly loss: tf.Scalar;
  /** [B]; not differentiable: a gradient that comes back to it is an error. */
  readonly lossPerSample: tf.Tensor1D;
  /** [B] cosine of the angle to the target centre; not differentiable, as `lossPerSample`. */
  readonly targetCosine: tf.Tensor1D;
  /** What `centers.update` needs. It is the caller's to dispose. */
  readonly step: Step;
}

/** Backends whose kernel is registered, and by which way. */
const paths = new Map<string, 'tensorflow-op' | 'staged'>();

function registerOn(backendName: string): 'tensorflow-op' | 'staged' {
  let kernel: MarginSoftmaxKernel = stagedMarginSoftmax;
  let path: 'tensorflow-op' | 'staged' = 'staged';
  if (isTensorFlowBackend(tf.backend())) {
    const problem = registerTensorFlowOp();
    if (problem === '') {
      kernel = tensorFlowMarginSoftmax;
      path = 'tensorflow-op';
    } else {
      process.emitWarning(`HyperArc copies embeddings through JavaScript instead of a TensorFlow op: ${problem}`);
    }
  }
  tf.registerKernel({
    kernelName: MARGIN_SOFTMAX,
    backendName,
    kernelFunc: ({ inputs, attrs }) =>
      kernel(inputs as unknown as MarginSoftmaxInputs, attrs as unknown as MarginSoftmaxAttributes),
  });
  paths.set(backendName, path);
  return path;
}

/** How {@link marginSoftmax} runs on tfjs's current backend: a TensorFlow op, or buffers copied through JavaScript. */
export function marginSoftmaxPath(): 'tensorflow-op' | 'staged' {
  const backendName = tf.getBackend();
  return paths.get(backendName) ?? registerOn(backendName);
}

// The forward pass has computed both gradients of the mean loss: what comes back along the tape only scales them.
if (!tf.getGradient(MARGIN_SOFTMAX)) {
  tf.registerGradient({
    kernelName: MARGIN_SOFTMAX,
    outputsToSave: [false, false, true, false, true],
    gradFunc: (dy, saved) => ({
      embeddings: () => tf.mul((dy as tf.Tensor[])[0]!, saved[0]!),
      rowParameters: () => tf.mul((dy as tf.Tensor[])[0]!, saved[1]!),
    }),
  });
}

function requireTensor(name: string, value: tf.Tensor, dtype: tf.DataType, shape: string, fits: boolean): void {
  if (!(value instanceof tf.Tensor)) {
    throw new HyperArcError('E_DTYPE', `${name}: expected a tensor of ${dtype}, received ${describeValue(value)}`);
  }
  if (value.dtype !== dtype) {
    throw new HyperArcError('E_DTYPE', `${name}: expected a tensor of ${dtype}, received one of ${value.dtype}`);
  }
  if (!fits) {
    throw new HyperArcError('E_SHAPE', `${name}: expected shape ${shape}, received [${value.shape.join(', ')}]`);
  }
}

/** The kernel's inputs, checked. Arrays become tensors, which `made` collects. */
function toInputs(
  centers: ClassCenters,
  embeddings: tf.Tensor,
  labels: tf.Tensor | Int32Array,
  options: MarginSoftmaxOptions,
  made: tf.Tensor[],
): MarginSoftmaxInputs & Record<string, tf.Tensor> {
  const make = <T extends tf.Tensor>(tensor: T): T => {
    made.push(tensor);
    return tensor;
  };
  const dim = centers.shape[2];
  const fits = embeddings?.rank === 2 && embeddings.shape[0]! > 0 && embeddings.shape[1] === dim;
  requireTensor('embeddings', embeddings, 'float32', `[B, ${dim}] with B ≥ 1`, fits);
  const batch = embeddings.shape[0]!;
  const labelsB = labels instanceof Int32Array ? make(tf.tensor1d(labels, 'int32')) : labels;
  requireTensor('labels', labelsB, 'int32', `[${batch}]`, labelsB?.rank === 1 && labelsB.size === batch);
  const inputs: MarginSoftmaxInputs & Record<string, tf.Tensor> = { embeddings, labels: labelsB };

  const { rowParameters, sampled } = options;
  if (rowParameters !== undefined) {
    const isArray = rowParameters instanceof Float32Array;
    if (isArray && rowParameters.length !== 4 * batch) {
      const received = `an array of length ${rowParameters.length}`;
      throw new HyperArcError('E_SHAPE', `rowParameters: expected shape [${batch}, 4], received ${received}`);
    }
    const tensor = isArray ? make(tf.tensor2d(rowParameters, [batch, 4], 'float32')) : rowParameters;
    const shapeFits = tensor.rank === 2 && tensor.shape[0] === batch && tensor.shape[1] === 4;
    requireTensor('rowParameters', tensor, 'float32', `[${batch}, 4]`, shapeFits);
    inputs['rowParameters'] = tensor;
  }
  if (sampled !== undefined) {
    const tensor = sampled instanceof Int32Array ? make(tf.tensor1d(sampled, 'int32')) : sampled;
    requireTensor('sampled', tensor, 'int32', '[n]', tensor.rank === 1);
    inputs['sampled'] = tensor;
  }
  return inputs;
}

/** `values`, which it disposes, such that their gradient is an error: tfjs would take it for 0. */
function withoutGradient<T extends tf.Tensor>(name: string, values: T): T {
  const guarded = tf.customGrad((input) => ({
    value: tf.clone(input as tf.Tensor),
    gradFunc: () => {
      const expected = 'no gradient to come back to it: the engine has that of the mean loss alone';
      throw new HyperArcError('E_RANGE', `${name}: expected ${expected}, received one; differentiate loss`);
    },
  }))(values);
  values.dispose();
  return guarded as T;
}

/**
 * Margin softmax over class centres as a tfjs op: loss of a micro-batch, differentiable with respect to the embeddings and
 * to `rowParameters` (docs/numerics.md, "Loss and gradients"). The weights of `centers` never move here; `centers.update(step, …)` moves them.
 * On tfjs-node's backend it is a TensorFlow op on the tensors' own memory, elsewhere embeddings are copied to the engine.
 *
 * @param embeddings [B, D] float32, finite; need not have unit length.
 * @param labels [B] int32, global class indices.
 * @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE (a label, margin or class outside its range), E_NONFINITE, E_BUSY, E_DISPOSED.
 */
export function marginSoftmax(
  centers: ClassCenters,
  embeddings: tf.Tensor,
  labels: tf.Tensor | Int32Array,
  options: MarginSoftmaxOptions,
): MarginSoftmaxResult {
  const rule = checkMarginRule(requireObject('options', options).margin);
  marginSoftmaxPath();
  const made: tf.Tensor[] = [];
  let step: Step | undefined;
  try {
    const inputs = toInputs(centers, embeddings, labels, options, made);
    step = options.step ?? new Step(callNative(() => centers.device.native.createStep()));
    const attributes = { centers, step, rule } satisfies MarginSoftmaxAttributes;
    const [loss, lossPerSample, gradient, targetCosine, rowGradient] = tf
      .engine()
      .runKernel(MARGIN_SOFTMAX, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor[];
    // The tape keeps what it needs of the gradients.
    tf.dispose([gradient!, rowGradient!]);
    return {
      loss: loss as tf.Scalar,
      lossPerSample: withoutGradient('lossPerSample', lossPerSample as tf.Tensor1D),
      targetCosine: withoutGradient('targetCosine', targetCosine as tf.Tensor1D),
      step,
    };
  } catch (error) {
    if (step && step !== options.step) step.dispose();
    throw error;
  } finally {
    tf.dispose(made);
  }
}
