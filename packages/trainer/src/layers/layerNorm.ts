import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/**
 * Layer normalisation (Ba et al. 2016) over the last axis of [..., D] fp32: γ·(x − mean)/√(variance + ε) + β, the variance biased.
 * The gradient keeps the normalised input and one number a row.
 */
export class LayerNorm extends tfl.layers.Layer {
  static readonly className = 'HyperArcLayerNorm';
  readonly epsilon: number;
  private gamma!: tfl.LayerVariable;
  private beta!: tfl.LayerVariable;

  /** @param config epsilon: added to the variance; default 1e-5, PyTorch's. */
  constructor(config: { name?: string; epsilon?: number } = {}) {
    super(config as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.epsilon = config.epsilon ?? 1e-5;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const shape = inputShape as tfl.Shape;
    const size = [shape[shape.length - 1]!];
    this.gamma = this.addWeight('gamma', size, 'float32', tfl.initializers.ones());
    this.beta = this.addWeight('beta', size, 'float32', tfl.initializers.zeros());
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const input = Array.isArray(inputs) ? inputs[0]! : inputs;
    const dim = input.shape[input.rank - 1]!;
    const rows = [input.size / dim, dim] as const;
    return tf.tidy(() => {
      const op = tf.customGrad((xIn, gammaIn, betaIn, save) => {
        const x = tf.reshape(xIn as tf.Tensor, [...rows]);
        const gamma = gammaIn as tf.Tensor;
        const centred = tf.sub(x, tf.mean(x, 1, true));
        const rstd = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), this.epsilon));
        const normalised = tf.mul(centred, rstd);
        (save as tf.GradSaveFunc)([normalised, rstd, gamma]);
        const gradFunc = (dyIn: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
          const [xHat, r, g] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
          const dy = tf.reshape(dyIn, [...rows]);
          const dXHat = tf.mul(dy, g);
          const along = tf.mul(xHat, tf.mean(tf.mul(dXHat, xHat), 1, true));
          const dx = tf.mul(tf.sub(tf.sub(dXHat, tf.mean(dXHat, 1, true)), along), r);
          return [tf.reshape(dx, input.shape), tf.sum(tf.mul(dy, xHat), 0), tf.sum(dy, 0)];
        };
        const y = tf.add(tf.mul(normalised, gamma), betaIn as tf.Tensor);
        return { value: tf.reshape(y, input.shape), gradFunc };
      });
      return op(input, this.gamma.read(), this.beta.read());
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape | tfl.Shape[] {
    return inputShape;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), epsilon: this.epsilon };
  }
}
tf.serialization.registerClass(LayerNorm);
