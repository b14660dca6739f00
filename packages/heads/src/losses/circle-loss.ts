import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';
import type { Labels } from '../checks.js';
import { checkNumber, checkOneOf, checkOptions } from '../specs/check-options.js';
import { checkBatch, readIdentities } from './checks.js';
import { meanOver, pairLoss } from './pairs.js';

export interface CircleLossOptions {
  /** Relaxation m in [0, 1]; default 0.25 (face recognition). */
  readonly margin?: number;
  /** γ in (0, 1024]; default 256 (face recognition). */
  readonly scale?: number;
  /** 'straight-through' (default): the weights α are constants to the gradient, as published (eq. 10). 'exact': they are not. */
  readonly gradient?: MarginRule['gradient'];
}

/** Stands for −∞ among logits: e^(this − anything) is 0 in fp32. */
const EXCLUDED = -1e30;

/**
 * Circle loss between the samples of a batch: the mean over anchors of ln(1 + Σ_n e^(γ·α_n·(s_n − m)) · Σ_p e^(−γ·α_p·(s_p − 1 + m))),
 * s the cosines to the anchor's negatives and positives, α_n = max(0, s_n + m), α_p = 1 + m − s_p. Sun et al., "Circle Loss", CVPR 2020,
 * eq. 6 with O_p = 1 + m, O_n = −m, Δ_p = 1 − m, Δ_n = m. (With class centres: `circleSoftmax`.)
 *
 * The mean is over anchors that have a positive and a negative; a batch without one has loss 0 and gradient 0. Differentiable once.
 *
 * @param embeddings float32 [B, D], of any length: they are normalised here
 * @param labels [B], identity numbers: integers in [0, 2³¹)
 * @returns float32 scalar
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE naming the parameter.
 */
export function circleLoss(embeddings: tf.Tensor, labels: Labels, options: CircleLossOptions = {}): tf.Scalar {
  checkOptions('circleLoss', options, ['margin', 'scale', 'gradient']);
  const { margin = 0.25, scale = 256, gradient = 'straight-through' } = options;
  checkNumber('margin', margin, { low: 0, high: 1 });
  checkNumber('scale', scale, { low: 0, high: 1024, openLow: true });
  checkOneOf('gradient', gradient, ['exact', 'straight-through']);
  checkBatch(embeddings);
  const identities = readIdentities(labels, embeddings.shape[0]);

  return pairLoss(embeddings, identities, { measure: 'cosine', normalize: true }, (cosines, masks) => {
    const isExact = gradient === 'exact';
    const fromOne = tf.sub(1, cosines);
    const positiveWeights = tf.relu(tf.add(fromOne, margin));
    const positives = weigh(tf.mul(positiveWeights, tf.sub(fromOne, margin)), masks.positiveBB, scale);
    const negativeWeights = tf.relu(tf.add(cosines, margin));
    const negatives = weigh(tf.mul(negativeWeights, tf.sub(cosines, margin)), masks.negativeBB, scale);

    const exponents = tf.add(positives.logSums, negatives.logSums);
    const hasBoth = tf.logicalAnd(tf.any(masks.positiveBB, 1, true), tf.any(masks.negativeBB, 1, true));
    const zeros = tf.zerosLike(exponents);
    const total = tf.sum(tf.where(hasBoth, tf.softplus(exponents), zeros));
    const count = tf.sum(tf.cast(hasBoth, 'float32'));
    const anchorSlopes = tf.mul(tf.where(hasBoth, tf.sigmoid(exponents), zeros), scale);

    // d(α_p·(1 − m − s_p))/ds_p and d(α_n·(s_n − m))/ds_n.
    const positiveSlopes = tf.neg(isExact ? tf.mul(fromOne, 2) : positiveWeights);
    const doubled = tf.mul(cosines, 2);
    const negativeSlopes = isExact
      ? tf.where(tf.greater(negativeWeights, 0), doubled, tf.zerosLike(doubled))
      : negativeWeights;
    const slopes = tf.add(tf.mul(positives.shares, positiveSlopes), tf.mul(negatives.shares, negativeSlopes));
    const slopesBB = tf.div(tf.mul(slopes, anchorSlopes), tf.maximum(count, 1)) as tf.Tensor2D;
    return { value: meanOver(total, count), slopesBB };
  });
}

/** ln Σ e^(γ·value) over the chosen of each row [B, 1], and the share of each in that sum [B, B]. */
function weigh(values: tf.Tensor, chosen: tf.Tensor, scale: number) {
  const logits = tf.where(chosen, tf.mul(values, scale), tf.fill(values.shape, EXCLUDED));
  const logSums = tf.logSumExp(logits, 1, true);
  const shares = tf.where(chosen, tf.exp(tf.sub(logits, logSums)), tf.zerosLike(logits));
  return { logSums, shares };
}
