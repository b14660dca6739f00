import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { type TensorFlowOps, tensorFlowOps } from './tensorflowOps.js';

export type ActivationFunction = 'relu' | 'relu6' | 'gelu';

/** Φ(x), the normal distribution's function. */
const normalCdf = (x: tf.Tensor): tf.Tensor => tf.add(tf.mul(tf.erf(tf.mul(x, Math.SQRT1_2)), 0.5), 0.5);

function forward(name: ActivationFunction, x: tf.Tensor): tf.Tensor {
  if (name === 'gelu') return tf.mul(x, normalCdf(x));
  return name === 'relu' ? tf.relu(x) : tf.relu6(x);
}

/** dx. At the kinks 0 and 6 it is 0, as in PyTorch. */
function backward(ops: TensorFlowOps | null, name: ActivationFunction, dy: tf.Tensor, x: tf.Tensor): tf.Tensor {
  if (name === 'gelu') {
    // Φ(x) + x·φ(x), φ the density.
    const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return tf.mul(dy, tf.add(normalCdf(x), tf.mul(x, density)));
  }
  if (ops !== null) return ops.one(name === 'relu' ? 'ReluGrad' : 'Relu6Grad', [dy, x]);
  const inside = tf.greater(x, 0);
  return tf.mul(dy, tf.cast(name === 'relu' ? inside : tf.logicalAnd(inside, tf.less(x, 6)), 'float32'));
}

/**
 * y = f(x), element by element: `relu` max(x, 0), `relu6` min(max(x, 0), 6), `gelu` x·Φ(x) (Hendrycks and Gimpel 2016; by the error
 * function, not its tanh approximation). Its gradient keeps x alone.
 */
export class Activation extends tfl.layers.Layer {
  static readonly className = 'HyperArcActivation';
  readonly function: ActivationFunction;

  constructor(config: { name?: string; function: ActivationFunction }) {
    super(config as unknown as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.function = config.function;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const input = Array.isArray(inputs) ? inputs[0]! : inputs;
    return tf.tidy(() => {
      const op = tf.customGrad((xIn, save) => {
        (save as tf.GradSaveFunc)([xIn as tf.Tensor]);
        const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => backward(tensorFlowOps(), this.function, dy, saved[0]!);
        return { value: forward(this.function, xIn as tf.Tensor), gradFunc };
      });
      return op(input);
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape | tfl.Shape[] {
    return inputShape;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), function: this.function };
  }
}
tf.serialization.registerClass(Activation);
