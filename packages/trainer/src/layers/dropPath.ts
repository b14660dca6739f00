import * as tf from '@tensorflow/tfjs-core';

import { SeededLayer } from './seededLayer.js';

/**
 * Drop path (Huang et al. 2016, "Deep networks with stochastic depth"; Larsson et al. 2017): while training, a sample's whole branch
 * [B, …] is zero with probability `rate`, else divided by 1 − rate. Identity outside training. What is drawn follows from the seed and
 * a step counter, a weight that is saved.
 */
export class DropPath extends SeededLayer {
  static readonly className = 'HyperArcDropPath';

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    return tf.tidy(() => {
      if (kwargs.training !== true) return tf.clone(x);
      const random = this.nextStream();
      const factors = Float32Array.from({ length: x.shape[0]! }, () =>
        random.chance(this.rate) ? 0 : 1 / (1 - this.rate),
      );
      return tf.mul(x, tf.tensor(factors, [x.shape[0]!, ...new Array<number>(x.rank - 1).fill(1)]));
    });
  }
}
tf.serialization.registerClass(DropPath);
