import * as tf from '@tensorflow/tfjs-core';

import { Random } from './random.js';

/** A perceptron with ReLU between its layers: the backbone of the experiments. */
export class Perceptron {
  readonly variables: tf.Variable[] = [];
  private readonly layers: { weights: tf.Variable<tf.Rank.R2>; biases: tf.Variable<tf.Rank.R1> }[] = [];

  /** He-normal weights from `seed`; `lastGain` scales those of the last layer. */
  constructor(sizes: readonly number[], seed: number, lastGain = 1) {
    const random = new Random(seed);
    for (let l = 0; l + 1 < sizes.length; l++) {
      const [from, to] = [sizes[l]!, sizes[l + 1]!];
      const deviation = Math.sqrt(2 / from) * (l + 2 === sizes.length ? lastGain : 1);
      const values = Float32Array.from({ length: from * to }, () => deviation * random.normal());
      const weights = tf.tidy(() => tf.variable(tf.tensor2d(values, [from, to])));
      const biases = tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R1>([to])));
      this.layers.push({ weights, biases });
      this.variables.push(weights, biases);
    }
  }

  /** [N, inputs] → [N, D], not normalised. */
  apply(inputs: tf.Tensor2D): tf.Tensor2D {
    return this.layers.reduce((x, { weights, biases }, l) => {
      const y = tf.add(tf.matMul(x, weights), biases) as tf.Tensor2D;
      return l + 1 < this.layers.length ? tf.relu(y) : y;
    }, inputs);
  }

  dispose(): void {
    tf.dispose(this.variables);
  }
}
