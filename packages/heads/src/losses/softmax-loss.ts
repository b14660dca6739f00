import * as tf from '@tensorflow/tfjs-core';
import { checkFloat, checkShape, readLabels, type Labels } from '../checks.js';
import { indicators } from '../indicators.js';
import { checkPlainCenters } from './checks.js';

/** Stands for −∞ in the logit of a target among the negatives. The lowest there is, since logits here have no bound. */
const EXCLUDED = -3.4e38;

/**
 * Mean softmax cross-entropy of the logits x·wᵀ + b: the classifier without normalisation or margin, with which every margin head is
 * compared. Its logits have no bound, so their exponentials are taken from the running maximum of each row; the engine, which works
 * without one because |cos θ| ≤ 1, does not carry it: plain tfjs ops with a [B, C] matrix, for classes that fit in memory that way.
 *
 * Differentiable once with respect to embeddings, weights and biases.
 *
 * @param embeddings float32 [B, D], as they are
 * @param weights float32 [C, D], as they are
 * @param biases float32 [C]
 * @param labels [B], class indices in [0, C)
 * @returns float32 scalar
 * @throws HyperArcError E_SHAPE, E_DTYPE; E_RANGE for a label outside [0, C).
 */
export function softmaxLoss(embeddings: tf.Tensor, weights: tf.Tensor, biases: tf.Tensor, labels: Labels): tf.Scalar {
  const classes = checkPlainCenters('weights', weights, embeddings);
  checkFloat('biases', biases);
  checkShape('biases', biases, `[${classes}]`, biases.rank === 1 && biases.shape[0] === classes);
  const batch = embeddings.shape[0];
  const labelsB = readLabels(labels, batch, classes);

  const loss = tf.customGrad((embeddingsBD, weightsCD, biasesC, save) => {
    const [x, w] = [embeddingsBD, weightsCD] as tf.Tensor2D[];
    const logitsBC = tf.add(tf.matMul(x!, w!, false, true), biasesC as tf.Tensor1D) as tf.Tensor2D;
    const isTargetBC = indicators(tf.tensor1d(labelsB, 'int32'), classes);
    const targets = tf.sum(tf.where(isTargetBC, logitsBC, tf.zerosLike(logitsBC)), 1, true);
    const negativesBC = tf.where(isTargetBC, tf.fill(logitsBC.shape, EXCLUDED), logitsBC);
    const negativeLogSums = tf.logSumExp(negativesBC, 1, true);
    // softplus keeps the digits of a small loss, which ln Σ e^z − z_y loses.
    const gaps = tf.sub(negativeLogSums, targets);
    const errors = tf.sigmoid(gaps);
    const negativeShares = tf.mul(tf.exp(tf.sub(negativesBC, negativeLogSums)), errors);
    const slopesBC = tf.div(tf.where(isTargetBC, tf.neg(tf.tile(errors, [1, classes])), negativeShares), batch);
    (save as tf.GradSaveFunc)([x!, w!, slopesBC]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [points, rows, slopes] = saved as tf.Tensor2D[];
      const [dX, dW] = [tf.matMul(slopes!, rows!), tf.matMul(slopes!, points!, true)];
      return [dX, dW, tf.sum(slopes!, 0)].map((gradient) => tf.mul(gradient, dy));
    };
    return { value: tf.mean(tf.softplus(gaps)), gradFunc };
  });
  return loss(embeddings, weights, biases) as tf.Scalar;
}
