import * as tf from '@tensorflow/tfjs-core';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import type { ReadModel, ReadNode } from './read.js';

/** One operator of the ONNX standard on NCHW tensors. `ints` are constants that are no tensors, such as shapes. */
type Operator = (node: ReadNode, inputs: tf.Tensor[], ints: readonly (number[] | undefined)[]) => tf.Tensor;

const list = (node: ReadNode, name: string): number[] => node.attributes.get(name) as number[];
const toNhwc = (x: tf.Tensor): tf.Tensor4D => tf.transpose(x, [0, 2, 3, 1]) as tf.Tensor4D;
const toNchw = (x: tf.Tensor): tf.Tensor => tf.transpose(x, [0, 3, 1, 2]);

/** Channels of [N, C] or [N, C, H, W] against a vector [C]. */
const perChannel = (vector: tf.Tensor, x: tf.Tensor): tf.Tensor =>
  x.rank === 4 ? tf.reshape(vector, [1, -1, 1, 1]) : vector;

const conv: Operator = (node, [x, w, bias]) => {
  const group = node.attributes.get('group') as number;
  const [top, left, bottom, right] = list(node, 'pads') as [number, number, number, number];
  const strides = list(node, 'strides') as [number, number];
  const padded: tf.Tensor4D = tf.pad(toNhwc(x!), [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]);
  // [filters, in/group, h, w] to tfjs's [h, w, in/group, filters].
  const kernel = tf.transpose(w!, [2, 3, 1, 0]) as tf.Tensor4D;
  const filters = kernel.shape[3];
  let y: tf.Tensor4D;
  if (group > 1 && kernel.shape[2] === 1 && filters === group) {
    y = tf.depthwiseConv2d(padded, tf.transpose(kernel, [0, 1, 3, 2]), strides, 'valid');
  } else {
    const inputs = tf.split<tf.Tensor4D>(padded as tf.Tensor4D, group, 3);
    const kernels = tf.split<tf.Tensor4D>(kernel, group, 3);
    y = tf.concat4d(
      inputs.map((part, g) => tf.conv2d(part, kernels[g]!, strides, 'valid')),
      3,
    );
  }
  return toNchw(bias === undefined ? y : tf.add(y, bias));
};

const batchNorm: Operator = (node, [x, gamma, beta, mean, variance]) => {
  const epsilon = node.attributes.get('epsilon') as number;
  const scale = tf.div(gamma!, tf.sqrt(tf.add(variance!, epsilon)));
  const shift = tf.sub(beta!, tf.mul(mean!, scale));
  return tf.add(tf.mul(x!, perChannel(scale, x!)), perChannel(shift, x!));
};

/** Softmax and layer normalisation over the last axis, the only one that is written. */
const operators: Readonly<Record<string, Operator>> = {
  Add: (_node, [a, b]) => tf.add(a!, b!),
  BatchNormalization: batchNorm,
  Clip: (_node, [x, low, high]) => tf.minimum(tf.maximum(x!, low!), high!),
  Conv: conv,
  Erf: (_node, [x]) => tf.erf(x!),
  Flatten: (_node, [x]) => tf.reshape(x!, [x!.shape[0]!, -1]),
  Gemm: (_node, [a, b, c]) => {
    const product = tf.matMul(a!, b!);
    return c === undefined ? product : tf.add(product, c);
  },
  GlobalAveragePool: (_node, [x]) => tf.mean(x!, [2, 3], true),
  LayerNormalization: (node, [x, gamma, beta]) => {
    const { mean, variance } = tf.moments(x!, -1, true);
    const deviation = tf.sqrt(tf.add(variance, node.attributes.get('epsilon') as number));
    return tf.add(tf.mul(tf.div(tf.sub(x!, mean), deviation), gamma!), beta!);
  },
  MatMul: (_node, [a, b]) => {
    if (b!.rank > 2) return tf.matMul(a!, b!);
    const product = tf.matMul(tf.reshape(a!, [-1, a!.shape[a!.rank - 1]!]), b!);
    return tf.reshape(product, [...a!.shape.slice(0, -1), b!.shape[1]!]);
  },
  MaxPool: (node, [x]) => {
    const [sizes, strides] = [list(node, 'kernel_shape'), list(node, 'strides')] as [number, number][];
    return toNchw(tf.maxPool(toNhwc(x!), sizes!, strides!, 'valid'));
  },
  Mul: (_node, [a, b]) => tf.mul(a!, b!),
  Pad: (_node, [x], [, pads]) =>
    tf.pad(
      x!,
      Array.from({ length: x!.rank }, (_, i) => [pads![i]!, pads![x!.rank + i]!]),
    ),
  PRelu: (_node, [x, slope]) => tf.add(tf.relu(x!), tf.mul(slope!, tf.minimum(x!, 0))),
  Relu: (_node, [x]) => tf.relu(x!),
  // A size of 0 is the input's own.
  Reshape: (_node, [x], [, sizes]) =>
    tf.reshape(
      x!,
      sizes!.map((size, i) => (size === 0 ? x!.shape[i]! : size)),
    ),
  Sigmoid: (_node, [x]) => tf.sigmoid(x!),
  Softmax: (_node, [x]) => tf.softmax(x!),
  Transpose: (node, [x]) => tf.transpose(x!, list(node, 'perm')),
};

/**
 * Runs a model on the current tfjs backend, after the ONNX standard and not after our layers: how an export is checked where there is no
 * onnxruntime. @param images [N, 3, H, W].
 */
export function runOnnx(model: ReadModel, images: tf.Tensor4D): tf.Tensor {
  return tf.tidy(() => {
    const values = new Map<string, tf.Tensor>([[model.input, images]]);
    for (const node of model.nodes) {
      const operator = operators[node.opType];
      if (operator === undefined) {
        throw new HyperArcError(
          'E_FORMAT',
          `${node.name}: expected one of ${Object.keys(operators).join(', ')}, received ${node.opType}`,
        );
      }
      const ints: (number[] | undefined)[] = [];
      const inputs = node.inputs.map((name, i) => {
        const constant = model.constants.get(name);
        if (Array.isArray(constant?.values)) ints[i] = constant.values;
        return constant === undefined ? values.get(name)! : tf.tensor(constant.values, constant.shape);
      });
      values.set(node.output, operator(node, inputs, ints));
    }
    return values.get(model.output)!;
  });
}
