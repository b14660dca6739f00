import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { nextStream } from './stepCounter.js';

export interface DropPathConfig {
  name?: string;
  /** Share of the samples dropped, in [0, 1). */
  rate: number;
  /** 32-bit integer. */
  seed: number;
}

/**
 * Drop path (Huang et al. 2016, "Deep networks with stochastic depth"; Larsson et al. 2017): while training, a sample's whole branch
 * [B, …] is zero with probability `rate`, else divided by 1 − rate. Identity outside training. What is drawn follows from the seed and
 * a step counter, a weight that is saved.
 */
export class DropPath extends tfl.layers.Layer {
  static readonly className = 'HyperArcDropPath';
  readonly rate: number;
  readonly seed: number;
  private step!: tfl.LayerVariable;

  constructor(config: DropPathConfig) {
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
      const random = nextStream(this.step, this.seed);
      const factors = Float32Array.from({ length: x.shape[0]! }, () =>
        random.chance(this.rate) ? 0 : 1 / (1 - this.rate),
      );
      return tf.mul(x, tf.tensor(factors, [x.shape[0]!, ...new Array<number>(x.rank - 1).fill(1)]));
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape | tfl.Shape[] {
    return inputShape;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), rate: this.rate, seed: this.seed };
  }
}
tf.serialization.registerClass(DropPath);
