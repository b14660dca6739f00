import { checkMarginRule } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';
import type { Labels } from './checks.js';
import { checkFloat, checkShape, readLabels } from './checks.js';
import { indicators } from './indicators.js';
import type { MarginSpec } from './specs.js';
import { derivativesOf, targetLogits } from './target-logit.js';

/**
 * Logits [B, C] of a margin softmax: s·c_ij, and T(c_iy) at each target; softmax cross-entropy of them is the loss
 * (Deng et al., "ArcFace", CVPR 2019, eq. 3). Differentiable once with respect to `cosines`.
 *
 * A cosine alone tells little about the angle near ±1: {@link marginSoftmaxLoss} works from the vectors and stays exact there.
 *
 * @param cosines float32 [B, C] in [−1, 1]
 * @param labels [B], class indices in [0, C)
 * @throws HyperArcError E_SHAPE, E_DTYPE; E_RANGE for a label outside [0, C) or a margin outside its range.
 */
export function marginLogits(cosines: tf.Tensor2D, labels: Labels, spec: MarginSpec): tf.Tensor2D {
  checkMarginRule(spec);
  checkFloat('cosines', cosines);
  checkShape('cosines', cosines, '[B, C], both ≥ 1', cosines.rank === 2 && cosines.size > 0);
  const [batch, classes] = cosines.shape;
  const labelsB = readLabels(labels, batch, classes);

  const withMargin = tf.customGrad((cosinesBC, save) => {
    const all = cosinesBC as tf.Tensor2D;
    const isTarget = indicators(tf.tensor1d(labelsB, 'int32'), classes);
    const targets = tf.sum(tf.where(isTarget, all, tf.zerosLike(all)), 1, true);
    const sines = tf.sqrt(tf.maximum(tf.sub(1, tf.square(targets)), 0));
    const { logits, slopes } = targetLogits(targets, sines, spec);
    const derivatives = derivativesOf(slopes, sines);
    (save as tf.GradSaveFunc)([isTarget, derivatives]);
    const spread = (values: tf.Tensor) => tf.tile(values, [1, classes]);
    return {
      value: tf.where(isTarget, spread(logits), tf.mul(all, spec.scale)),
      gradFunc: (dy, [target, slope]) => tf.mul(dy, tf.where(target!, spread(slope!), tf.fill(all.shape, spec.scale))),
    };
  });
  return withMargin(cosines) as tf.Tensor2D;
}
