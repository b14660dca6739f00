import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { subsample } from './subsample.js';
import { type OpAttribute, type TensorFlowOps, tensorFlowOps } from './tensorflowOps.js';

export interface PaddedConv2DConfig {
  name?: string;
  filters: number;
  /** Height and width of the kernel. */
  kernelSize: number;
  /** Default 1. */
  stride?: number;
  /** Zeros on every side, as in PyTorch. Default 0. (TensorFlow's 'same' pads stride 2 on the far side only.) */
  padding?: number;
  /** Groups of channels that do not see each other; divides input channels and filters. Default 1. */
  groups?: number;
}

type Pads = [[number, number], [number, number], [number, number], [number, number]];

function convAttributes(ops: TensorFlowOps, stride: number, padding: number): OpAttribute[] {
  return [
    ops.type('T'),
    ops.int('strides', [1, stride, stride, 1]),
    ops.string('padding', 'EXPLICIT'),
    ops.int('explicit_paddings', [0, 0, padding, padding, padding, padding, 0, 0]),
    ops.string('data_format', 'NHWC'),
    ops.int('dilations', [1, 1, 1, 1]),
  ];
}

/** Convolution with explicit zeros on both sides and its gradients, by TensorFlow: no padded copy is made. */
function convExplicit(
  ops: TensorFlowOps,
  opName: 'Conv2D' | 'DepthwiseConv2dNative',
  input: tf.Tensor,
  kernel: tf.Tensor,
  stride: number,
  padding: number,
): tf.Tensor {
  const attributes = convAttributes(ops, stride, padding);
  const op = tf.customGrad((xIn, kernelIn, save) => {
    const [x, w] = [xIn as tf.Tensor, kernelIn as tf.Tensor];
    (save as tf.GradSaveFunc)([x, w]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [sx, sw] = saved as [tf.Tensor, tf.Tensor];
      return [
        ops.one(`${opName}BackpropInput`, [tf.tensor1d(sx.shape, 'int32'), sw, dy], attributes),
        ops.one(`${opName}BackpropFilter`, [sx, tf.tensor1d(sw.shape, 'int32'), dy], attributes),
      ];
    };
    return { value: ops.one(opName, [x, w], attributes), gradFunc };
  });
  return op(input, kernel);
}

/**
 * 1×1 convolution. On TensorFlow as a matrix product, which is faster there, and safe: with oneDNN, TensorFlow's own divides by zero for many channels
 * on some processors (256 to 1024), and the gradient of its strided one writes out of bounds for few (below 16).
 */
function pointwise(x: tf.Tensor4D, kernel: tf.Tensor4D): tf.Tensor {
  if (tensorFlowOps() === null) return tf.conv2d(x, kernel, 1, 'valid');
  const [batch, height, width, channels] = x.shape;
  const filters = kernel.shape[3];
  const product = tf.matMul(tf.reshape(x, [-1, channels]), tf.reshape(kernel, [channels, filters]));
  return tf.reshape(product, [batch, height, width, filters]);
}

/**
 * 2-D convolution without bias, [B, H, W, in] → [B, ⌊(H + 2·padding − kernelSize)/stride⌋ + 1, …, filters], zero-padded alike on all sides.
 *
 * The kernel is [k, k, in, filters] for one group; for several groups [k, k, in, filters/groups]: element (…, c, q) weighs input
 * channel c in output channel ⌊c/(in/groups)⌋·(filters/groups) + q. groups = in = filters is a depthwise convolution.
 */
export class PaddedConv2D extends tfl.layers.Layer {
  static readonly className = 'HyperArcPaddedConv2D';
  readonly filters: number;
  readonly kernelSize: number;
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;
  private kernel!: tfl.LayerVariable;

  constructor(config: PaddedConv2DConfig) {
    super(config as unknown as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.filters = config.filters;
    this.kernelSize = config.kernelSize;
    this.stride = config.stride ?? 1;
    this.padding = config.padding ?? 0;
    this.groups = config.groups ?? 1;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const channels = (inputShape as tfl.Shape)[3]!;
    const shape = [this.kernelSize, this.kernelSize, channels, this.filters / this.groups];
    this.kernel = this.addWeight('kernel', shape, 'float32', tfl.initializers.zeros());
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = (Array.isArray(inputs) ? inputs[0]! : inputs) as tf.Tensor4D;
    return tf.tidy(() => {
      const perChannel = this.convolve(x, this.kernel.read() as tf.Tensor4D);
      const inputsPerGroup = x.shape[3] / this.groups;
      if (this.groups === 1 || inputsPerGroup === 1) return perChannel;
      // Depthwise output is [..., in·filters/groups]; a group's outputs are the sums over its input channels.
      const [batch, height, width] = perChannel.shape as [number, number, number, number];
      const byGroup = [batch * height * width, this.groups, inputsPerGroup, this.filters / this.groups];
      return tf.reshape(tf.sum(tf.reshape(perChannel, byGroup), 2), [batch, height, width, this.filters]);
    });
  }

  private convolve(x: tf.Tensor4D, kernel: tf.Tensor4D): tf.Tensor {
    if (this.kernelSize === 1 && this.padding === 0 && this.groups === 1) {
      return pointwise(subsample(x, this.stride), kernel);
    }
    const depthwise = this.groups > 1;
    const centred = this.stride === 1 && 2 * this.padding === this.kernelSize - 1;
    if (this.padding === 0 || centred) {
      const pad = this.padding === 0 ? 'valid' : 'same';
      return depthwise ? tf.depthwiseConv2d(x, kernel, this.stride, pad) : tf.conv2d(x, kernel, this.stride, pad);
    }
    const ops = tensorFlowOps();
    if (ops !== null) {
      return convExplicit(ops, depthwise ? 'DepthwiseConv2dNative' : 'Conv2D', x, kernel, this.stride, this.padding);
    }
    const side: [number, number] = [this.padding, this.padding];
    const padded = tf.pad(x, [[0, 0], side, side, [0, 0]] satisfies Pads);
    return depthwise
      ? tf.depthwiseConv2d(padded, kernel, this.stride, 'valid')
      : tf.conv2d(padded, kernel, this.stride, 'valid');
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const [batch, height, width] = inputShape as [number | null, number, number, number];
    const reduce = (size: number) => Math.floor((size + 2 * this.padding - this.kernelSize) / this.stride) + 1;
    return [batch, reduce(height), reduce(width), this.filters];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      filters: this.filters,
      kernelSize: this.kernelSize,
      stride: this.stride,
      padding: this.padding,
      groups: this.groups,
    };
  }
}
tf.serialization.registerClass(PaddedConv2D);
