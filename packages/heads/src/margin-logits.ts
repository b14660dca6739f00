import { checkMarginRule, type MarginRule } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';
import type { Labels } from './checks.js';
import { checkFloat, checkShape, readLabels } from './checks.js';
import { indicators } from './indicators.js';
import { negativeTerms } from './negatives.js';
import { checkRowParameters, columnsOf, rowsOfRule } from './row-parameters.js';
import { warnOfAdaptations } from './specs/warn-once.js';
import { derivativesOf, targetTerms, targetThresholds } from './target-logit.js';

/**
 * Logits [B, C] of a margin softmax: s·N(c_ij), and T(c_iy) at each target; softmax cross-entropy of them is the loss
 * (Deng et al., "ArcFace", CVPR 2019, eq. 3). Differentiable once with respect to `cosines` and `rowParameters`.
 *
 * A cosine alone tells little about the angle near ±1: {@link marginSoftmaxLoss} works from the vectors and stays exact there.
 *
 * @param cosines float32 [B, C] in [−1, 1]
 * @param labels [B], class indices in [0, C)
 * @param rule of a spec that adapts: as it stands (a warning, once)
 * @param rowParameters float32 [B, 4], (s, m1, m2, m3) of each sample in place of the rule's, in the same ranges
 * @throws HyperArcError E_SHAPE, E_DTYPE; E_RANGE for a label outside [0, C) or a margin outside its range.
 */
export function marginLogits(
  cosines: tf.Tensor,
  labels: Labels,
  rule: MarginRule,
  rowParameters?: tf.Tensor,
): tf.Tensor2D {
  checkMarginRule(rule);
  checkFloat('cosines', cosines);
  checkShape('cosines', cosines, '[B, C], both ≥ 1', cosines.rank === 2 && cosines.size > 0);
  const [batch, classes] = (cosines as tf.Tensor2D).shape;
  const labelsB = readLabels(labels, batch, classes);
  if (rowParameters) checkRowParameters(rowParameters, rule, batch);
  else warnOfAdaptations('marginLogits', rule);

  const withMargin = tf.customGrad((...inputs) => {
    const save = inputs.pop() as tf.GradSaveFunc;
    const [all, rowParametersB4] = inputs as [tf.Tensor2D, tf.Tensor2D | undefined];
    const isTarget = indicators(tf.tensor1d(labelsB, 'int32'), classes);
    const targets = tf.sum(tf.where(isTarget, all, tf.zerosLike(all)), 1, true);
    const sines = tf.sqrt(tf.maximum(tf.sub(1, tf.square(targets)), 0));
    const rows = columnsOf(rowParametersB4 ?? rowsOfRule(rule, batch));
    const target = targetTerms(targets, sines, rows, rule);
    const negatives = negativeTerms(all, rule, () => targetThresholds(targets, sines, rows, rule));

    const spread = (values: tf.Tensor) => tf.tile(values, [1, classes]);
    const unscaled = tf.where(isTarget, spread(target.values), negatives.values);
    const slopes = tf.where(
      isTarget,
      spread(derivativesOf(target.slopes, sines)),
      negatives.slopes ?? tf.onesLike(all),
    );
    const toSave = [tf.mul(slopes, rows.scale)];
    if (rowParametersB4) {
      const byM3 = tf.fill([batch, 1], -(rule.blend ?? 1));
      toSave.push(unscaled, isTarget, tf.mul(tf.concat([target.byM1, target.byM2, byM3], 1), rows.scale));
    }
    save(toSave);
    return { value: tf.mul(unscaled, rows.scale), gradFunc: gradients };
  });
  return withMargin(...[cosines, ...(rowParameters ? [rowParameters] : [])]) as tf.Tensor2D;
}

/** Gradients of the cosines [B, C], and of the row parameters [B, 4] where there are any. */
function gradients(dy: tf.Tensor, [slopes, unscaled, isTarget, byMargins]: tf.Tensor[]): tf.Tensor[] {
  const dCosines = tf.mul(dy, slopes!);
  if (!unscaled) return [dCosines];
  const dyOfTargets = tf.sum(tf.where(isTarget!, dy, tf.zerosLike(dy)), 1, true);
  const byScale = tf.sum(tf.mul(dy, unscaled), 1, true);
  return [dCosines, tf.concat([byScale, tf.mul(dyOfTargets, byMargins!)], 1)];
}
