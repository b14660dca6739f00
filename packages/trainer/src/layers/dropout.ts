import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { tensorFlowOps } from './tensorflowOps.js';

export interface SeededDropoutConfig {
  name?: string;
  /** Share of the inputs dropped, in [0, 1). */
  rate: number;
  /** 32-bit integer. */
  seed: number;
}

/** Uniforms of [0, 1), a function of shape, seed and step on one backend (TensorFlow: Philox; elsewhere tfjs's generator). */
function uniforms(shape: number[], seed: number, step: number): tf.Tensor {
  const ops = tensorFlowOps();
  if (ops === null) return tf.randomUniform(shape, 0, 1, 'float32', `${seed}/${step}`);
  return ops.one(
    'StatelessRandomUniform',
    [tf.tensor1d(shape, 'int32'), tf.tensor1d([seed, step], 'int32')],
    [ops.type('T', 'int32'), ops.type('dtype'), ops.type('Tseed', 'int32')],
  );
}

/**
 * Dropout whose masks follow from a seed and a step counter. The counter is a weight (int32, not trained), saved and restored with the
 * others, so that a resumed run draws the masks that an uninterrupted one would have drawn. Identity outside training.
 */
export class SeededDropout extends tfl.layers.Layer {
  static readonly className = 'HyperArcSeededDropout';
  readonly rate: number;
  readonly seed: number;
  private step!: tfl.LayerVariable;

  constructor(config: SeededDropoutConfig) {
    super(config as unknown as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.rate = config.rate;
    this.seed = config.seed;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    this.step = this.addWeight('step', [1], 'int32', tfl.initializers.zeros(), undefined, false);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    return tf.tidy(() => {
      if (kwargs.training !== true) return tf.clone(x);
      const step = this.step.read().dataSync()[0]!;
      this.step.write(tf.tensor1d([step + 1], 'int32'));
      const kept = tf.greaterEqual(uniforms(x.shape, this.seed, step), this.rate);
      return tf.mul(x, tf.mul(tf.cast(kept, 'float32'), 1 / (1 - this.rate)));
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape | tfl.Shape[] {
    return inputShape;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), rate: this.rate, seed: this.seed };
  }
}
tf.serialization.registerClass(SeededDropout);
