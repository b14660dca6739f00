import * as tf from '@tensorflow/tfjs-core';
import { checkFloat, checkShape, readLabels, type Labels } from '../checks.js';
import { indicators } from '../indicators.js';
import { checkNumber } from '../specs/check-options.js';
import { tangentPart, unitRows } from '../unit-rows.js';
import { checkPlainCenters } from './checks.js';

/** Largest |bias| given as a number. */
const MAX_BIAS = 1e6;

/** One binary classification a pair of sample and class: its loss, and the loss's derivatives. All [B, C]. */
export interface BinaryTerms {
  readonly lossesBC: tf.Tensor;
  /** d loss/d cosθ */
  readonly slopesBC: tf.Tensor;
  /** d loss/d bias */
  readonly biasSlopesBC: tf.Tensor;
}

/**
 * Mean over samples of Σ over classes of a loss of (cosθ_ij, b): the pairwise-sigmoid losses, which have no softmax that would tie the
 * classes of a sample together. Differentiable once with respect to embeddings, centres and bias.
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE.
 */
export function binaryClassLoss(
  embeddings: tf.Tensor,
  centers: tf.Tensor,
  bias: tf.Tensor | number,
  labels: Labels,
  terms: (cosinesBC: tf.Tensor2D, isTargetBC: tf.Tensor, bias: tf.Scalar) => BinaryTerms,
): tf.Scalar {
  const classes = checkPlainCenters('centers', centers, embeddings);
  if (typeof bias === 'number') checkNumber('bias', bias, { low: -MAX_BIAS, high: MAX_BIAS });
  else {
    checkFloat('bias', bias);
    checkShape('bias', bias, 'a number or a scalar', bias.rank === 0);
  }
  const batch = embeddings.shape[0];
  const labelsB = readLabels(labels, batch, classes);

  const loss = tf.customGrad((embeddingsBD, centersCD, biasScalar, save) => {
    const { units: x, inverseLengths: xInverse } = unitRows(embeddingsBD as tf.Tensor2D);
    const { units: w, inverseLengths: wInverse } = unitRows(centersCD as tf.Tensor2D);
    const cosinesBC: tf.Tensor2D = tf.matMul(x, w, false, true);
    const isTargetBC = indicators(tf.tensor1d(labelsB, 'int32'), classes);
    const { lossesBC, slopesBC, biasSlopesBC } = terms(cosinesBC, isTargetBC, biasScalar as tf.Scalar);
    const biasGradient = tf.mean(tf.sum(biasSlopesBC, 1));
    (save as tf.GradSaveFunc)([x, xInverse, w, wInverse, tf.div(slopesBC, batch), biasGradient]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [points, pointInverses, rows, rowInverses, slopes, dBias] = saved as tf.Tensor2D[];
      const dX = tf.mul(tangentPart(tf.matMul(slopes!, rows!), points!), pointInverses!);
      const dW = tf.mul(tangentPart(tf.matMul(slopes!, points!, true), rows!), rowInverses!);
      return [dX, dW, dBias!].map((gradient) => tf.mul(gradient, dy));
    };
    return { value: tf.mean(tf.sum(lossesBC, 1)), gradFunc };
  });
  return tf.tidy(() => loss(embeddings, centers, typeof bias === 'number' ? tf.scalar(bias) : bias) as tf.Scalar);
}
