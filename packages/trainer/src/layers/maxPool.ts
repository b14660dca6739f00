import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { subsample } from './subsample.js';

export interface PaddedMaxPoolConfig {
  name?: string;
  /** Height and width of the window; 1 takes every stride-th row and column. */
  poolSize: number;
  stride: number;
  /** Of the input on every side with zeros, for inputs that are not negative; default 0. (TensorFlow's 'same' pads the far side only.) */
  padding?: number;
}

/** Largest of each window, [B, H, W, C] → [B, ⌊(H + 2·padding − poolSize)/stride⌋ + 1, …, C], as PyTorch places the windows. */
export class PaddedMaxPool extends tfl.layers.Layer {
  static readonly className = 'HyperArcPaddedMaxPool';
  readonly poolSize: number;
  readonly stride: number;
  readonly padding: number;

  constructor(config: PaddedMaxPoolConfig) {
    super(config as unknown as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.poolSize = config.poolSize;
    this.stride = config.stride;
    this.padding = config.padding ?? 0;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = (Array.isArray(inputs) ? inputs[0]! : inputs) as tf.Tensor4D;
    return tf.tidy(() => {
      if (this.poolSize === 1) return tf.clone(subsample(x, this.stride));
      const side: [number, number] = [this.padding, this.padding];
      const padded = this.padding === 0 ? x : tf.pad4d(x, [[0, 0], side, side, [0, 0]]);
      return tf.maxPool(padded, this.poolSize, this.stride, 'valid');
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const [batch, height, width, channels] = inputShape as [number | null, number, number, number];
    const reduce = (size: number) => Math.floor((size + 2 * this.padding - this.poolSize) / this.stride) + 1;
    return [batch, reduce(height), reduce(width), channels];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), poolSize: this.poolSize, stride: this.stride, padding: this.padding };
  }
}
tf.serialization.registerClass(PaddedMaxPool);
