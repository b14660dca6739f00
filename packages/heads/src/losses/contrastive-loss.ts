import * as tf from '@tensorflow/tfjs-core';
import type { Labels } from '../checks.js';
import { checkFlag, checkNumber, checkOptions } from '../specs/check-options.js';
import { checkBatch, readIdentities } from './checks.js';
import { pairLoss } from './pairs.js';

export interface ContrastiveLossOptions {
  /** Distance m > 0 beyond which two identities repel no more; default 1. Unit vectors are at most 2 apart. */
  readonly margin?: number;
  /** Whether embeddings are scaled to unit length first; default true. */
  readonly normalize?: boolean;
}

/**
 * Contrastive loss: the mean over the B(B − 1)/2 pairs of a batch of ½d² where they share an identity, and ½·max(0, m − d)² where they
 * do not, d = ‖a − b‖. Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006, eq. 4.
 *
 * A batch of one sample has loss 0 and gradient 0. Two identities at the same point repel with no direction: their loss is ½m², their
 * gradient 0. Differentiable once. Time O(B²·D); intermediates of 64 MiB at most (B·D ≤ 2²⁴).
 *
 * @param embeddings float32 [B, D]
 * @param labels [B], identity numbers: integers in [0, 2³¹)
 * @returns float32 scalar
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE naming the parameter.
 */
export function contrastiveLoss(
  embeddings: tf.Tensor,
  labels: Labels,
  options: ContrastiveLossOptions = {},
): tf.Scalar {
  checkOptions('contrastiveLoss', options, ['margin', 'normalize']);
  const { margin = 1, normalize = true } = options;
  checkNumber('margin', margin, { low: 0, high: 1e6, openLow: true });
  checkFlag('normalize', normalize);
  checkBatch(embeddings);
  const batch = embeddings.shape[0];
  const identities = readIdentities(labels, batch);

  return pairLoss(embeddings, identities, { measure: 'euclidean', normalize }, (distances, masks) => {
    const zeros = tf.zerosLike(distances);
    const attraction = tf.where(masks.positiveBB, distances, zeros);
    const repulsion = tf.where(masks.negativeBB, tf.relu(tf.sub(margin, distances)), zeros);
    // Both orders of each pair are in the matrix.
    const orderedPairs = Math.max(1, batch * (batch - 1));
    const squares = tf.add(tf.square(attraction), tf.square(repulsion));
    return {
      value: tf.div(tf.sum(tf.sum(squares, 1)), 2 * orderedPairs) as tf.Scalar,
      slopesBB: tf.div(tf.sub(attraction, repulsion), orderedPairs),
    };
  });
}
