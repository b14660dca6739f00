import { MarginHead, softmaxLoss, type MarginSpec } from '@hyperarc/heads';
import * as tf from '@tensorflow/tfjs-core';

import type { Samples } from './clusters.js';
import type { Perceptron } from './model.js';
import { Random } from './random.js';

/** A loss with what it trains besides the backbone. */
export interface Classifier {
  /** Absent for softmax. */
  readonly head?: MarginHead;
  readonly loss: (embeddings: tf.Tensor2D, labels: Int32Array) => tf.Scalar;
  readonly variables: tf.Variable[];
  dispose(): void;
}

/** Softmax without normalisation or margin for null, else the margin's head. */
export function makeClassifier(margin: MarginSpec | null, classes: number, dim: number, subCenters = 1): Classifier {
  if (margin !== null) {
    const head = new MarginHead({ classes, dim, margin, subCenters, seed: 5, stddev: 0.1 });
    return {
      head,
      loss: (embeddings, labels) => head.loss(embeddings, labels),
      variables: [head.centers],
      dispose: () => head.dispose(),
    };
  }
  const random = new Random(5);
  const values = Float32Array.from({ length: classes * dim }, () => 0.1 * random.normal());
  const weights = tf.tidy(() => tf.variable(tf.tensor2d(values, [classes, dim])));
  const biases = tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R1>([classes])));
  return {
    loss: (embeddings, labels) => softmaxLoss(embeddings, weights, biases, labels),
    variables: [weights, biases],
    dispose: () => void tf.dispose([weights, biases]),
  };
}

export interface TrainingOptions {
  readonly steps: number;
  readonly batch: number;
  /** Of Adam; falls linearly to 0. */
  readonly learningRate: number;
  readonly seed: number;
}

/** Trains backbone and classifier on batches drawn with replacement. @returns the mean loss of the last tenth of the steps. */
export function trainOn(
  samples: Samples,
  model: Perceptron,
  classifier: Classifier,
  { steps, batch, learningRate, seed }: TrainingOptions,
): number {
  const random = new Random(seed);
  const optimizer = tf.train.adam(learningRate);
  const all = tf.tensor2d(samples.values, [samples.labels.length, samples.inputs]);
  let late = 0;
  try {
    for (let step = 0; step < steps; step++) {
      const indices = Int32Array.from({ length: batch }, () => random.integer(samples.labels.length));
      const labels = indices.map((n) => samples.labels[n]!);
      // tfjs's Adam has its rate in a protected field; nothing else changes it between steps.
      (optimizer as unknown as { learningRate: number }).learningRate = learningRate * (1 - step / steps);
      tf.tidy(() => {
        const inputs = tf.gather(all, tf.tensor1d(indices, 'int32'));
        const loss = optimizer.minimize(() => classifier.loss(model.apply(inputs), labels), true, [
          ...model.variables,
          ...classifier.variables,
        ])!;
        if (step >= 0.9 * steps) late += loss.dataSync()[0]!;
      });
    }
  } finally {
    all.dispose();
    optimizer.dispose();
  }
  return late / (steps - Math.ceil(0.9 * steps));
}

/** Embeddings of all samples [N][D]. */
export function embed(samples: Samples, model: Perceptron): number[][] {
  return tf.tidy(() => model.apply(tf.tensor2d(samples.values, [samples.labels.length, samples.inputs])).arraySync());
}
