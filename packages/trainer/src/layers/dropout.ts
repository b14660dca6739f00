import * as tf from '@tensorflow/tfjs-core';

import { SeededLayer } from './seededLayer.js';
import { tensorFlowOps } from './tensorflowOps.js';

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
 * Dropout whose masks follow from a seed and a step counter, a weight that is saved. Identity outside training.
 */
export class SeededDropout extends SeededLayer {
  static readonly className = 'HyperArcSeededDropout';

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    return tf.tidy(() => {
      if (kwargs.training !== true) return tf.clone(x);
      const kept = tf.greaterEqual(uniforms(x.shape, this.seed, this.nextStep()), this.rate);
      return tf.mul(x, tf.mul(tf.cast(kept, 'float32'), 1 / (1 - this.rate)));
    });
  }
}
tf.serialization.registerClass(SeededDropout);
