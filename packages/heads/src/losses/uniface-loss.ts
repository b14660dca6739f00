import * as tf from '@tensorflow/tfjs-core';
import type { Labels } from '../checks.js';
import { checkPositiveInteger } from '../checks.js';
import { checkNumber, checkOptions } from '../specs/check-options.js';
import { binaryClassLoss } from './class-similarities.js';

export interface UnifaceOptions {
  /** s in (0, 1024]; default 64. */
  readonly scale?: number;
  /** m in [0, 1], taken from the target's cosine; default 0.4. */
  readonly margin?: number;
  /** λ in (0, 1e3], weight of the negatives; default 1. */
  readonly balance?: number;
}

/**
 * UniFace's unified cross-entropy between samples and classes: mean over samples of
 * ln(1 + e^(−s·(cosθ_y − m) + b)) + λ·Σ_{j≠y} ln(1 + e^(s·cosθ_j − b)). b/s is the unified threshold: one for all pairs, above which
 * positives and below which negatives are pushed. Zhou et al., "UniFace: Unified Cross-Entropy Loss for Deep Face Recognition",
 * ICCV 2023: the form L_uce-mb-λ, with margin and balance. (The USS loss of "UniTSFace", NeurIPS 2023, is the same between samples.) The
 * authors' program clamps s·cosθ − b to ±s, where the gradient then dies; this is the formula.
 *
 * Every pair has a sigmoid of its own, and no softmax couples the classes of a sample, which is what the engine streams: plain tfjs ops
 * with a [B, C] matrix, for classes that fit in memory that way. Differentiable once with respect to embeddings, centres and bias.
 *
 * @param embeddings float32 [B, D], normalised here
 * @param centers float32 [C, D], normalised here
 * @param bias b, a float32 scalar to learn (start from {@link unifaceBias}), or a number
 * @param labels [B], class indices in [0, C)
 * @returns float32 scalar
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE naming the parameter.
 */
export function unifaceLoss(
  embeddings: tf.Tensor,
  centers: tf.Tensor,
  bias: tf.Tensor | number,
  labels: Labels,
  options: UnifaceOptions = {},
): tf.Scalar {
  checkOptions('unifaceLoss', options, ['scale', 'margin', 'balance']);
  const { scale = 64, margin = 0.4, balance = 1 } = options;
  checkNumber('scale', scale, { low: 0, high: 1024, openLow: true });
  checkNumber('margin', margin, { low: 0, high: 1 });
  checkNumber('balance', balance, { low: 0, high: 1e3, openLow: true });
  return binaryClassLoss(embeddings, centers, bias, labels, (cosines, isTarget, b) => {
    const choose = (target: number, negative: number) =>
      tf.where(isTarget, tf.fill(cosines.shape, target), tf.fill(cosines.shape, negative));
    const signs = choose(-1, 1);
    const weights = choose(1, balance);
    const logits = tf.sub(tf.mul(tf.sub(cosines, choose(margin, 0)), scale), b);
    const violations = tf.mul(signs, logits);
    const logitSlopes = tf.mul(tf.mul(weights, signs), tf.sigmoid(violations));
    return {
      lossesBC: tf.mul(weights, tf.softplus(violations)),
      slopesBC: tf.mul(logitSlopes, scale),
      biasSlopesBC: tf.neg(logitSlopes),
    };
  });
}

/**
 * The bias that the authors' program starts from: ln(10·r·C).
 * @param classes C ≥ 1
 * @param rate share r in (0, 1] of the negatives that take part; default 1
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function unifaceBias(classes: number, rate = 1): number {
  checkPositiveInteger('classes', classes);
  checkNumber('rate', rate, { low: 0, high: 1, openLow: true });
  return Math.log(10 * rate * classes);
}
