import { checkMarginRule, type MarginRule } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';
import type { Labels } from './checks.js';
import { readLabels } from './checks.js';
import type { Centers } from './class-cosines.js';
import { checkEmbeddings, shapeOfCenters, toWinners, winningCosines } from './class-cosines.js';
import { indicators } from './indicators.js';
import { negativeTerms } from './negatives.js';
import { checkRowParameters, columnsOf, rowsOfRule } from './row-parameters.js';
import { warnOfAdaptations } from './specs/warn-once.js';
import { derivativesOf, targetTerms, targetThresholds } from './target-logit.js';
import { tangentPart, unitRows } from './unit-rows.js';

/** Stands for −∞ in the logits of a target among the negatives: e^(this − anything) is 0 in fp32. */
const EXCLUDED = -1e30;

/**
 * Mean margin-softmax loss, −ln( e^T / (e^T + Σ_{j≠y} e^(s·N(c_j))) ) with the margin of `rule` in T and N: Deng et al.,
 * "ArcFace", CVPR 2019, eq. 3; with sub-centres Deng et al., "Sub-center ArcFace", ECCV 2020. Plain tfjs ops on any backend;
 * makes a [B, C] matrix, so it is for classes that fit in memory that way ('./engine' has the path for millions).
 *
 * Differentiable once with respect to `embeddings`, `centers` and `rowParameters`. The gradients are the closed forms of
 * docs/numerics.md, finite also where an embedding lies on its centre. Non-finite embeddings give a non-finite loss.
 *
 * @param embeddings float32 [B, D], of any length: they are normalised here
 * @param centers float32 [C, D] or [C, K, D], normalised here
 * @param labels [B], class indices in [0, C)
 * @param rule of a spec that adapts: as it stands (a warning, once)
 * @param rowParameters float32 [B, 4], (s, m1, m2, m3) of each sample in place of the rule's, in the same ranges
 * @returns float32 scalar
 * @throws HyperArcError E_SHAPE, E_DTYPE; E_RANGE for a label outside [0, C) or a margin outside its range.
 */
export function marginSoftmaxLoss(
  embeddings: tf.Tensor,
  centers: Centers,
  labels: Labels,
  rule: MarginRule,
  rowParameters?: tf.Tensor,
): tf.Scalar {
  const shape = shapeOfCenters(centers);
  checkMarginRule(rule);
  checkEmbeddings(embeddings, shape.dim);
  const batch = embeddings.shape[0];
  const labelsB = readLabels(labels, batch, shape.classes);
  if (rowParameters) checkRowParameters(rowParameters, rule, batch);
  else warnOfAdaptations('marginSoftmaxLoss', rule);

  const lossOf = tf.customGrad((...inputs) => {
    const save = inputs.pop() as tf.GradSaveFunc;
    const [embeddingsBD, centersCKD, rowParametersB4] = inputs as [tf.Tensor2D, Centers, tf.Tensor2D | undefined];
    const { units: x, inverseLengths: xInverse } = unitRows(embeddingsBD);
    const { units: w, inverseLengths: wInverse } = unitRows(tf.reshape(centersCKD, [-1, shape.dim]));
    const { cosinesBC, winnersBR } = winningCosines(x, w, shape);
    const isTargetBC = indicators(tf.tensor1d(labelsB, 'int32'), shape.classes) as tf.Tensor2D;
    const isTargetBR = toWinners(tf.cast(isTargetBC, 'float32'), winnersBR, shape);

    const targets: tf.Tensor2D = tf.matMul(isTargetBR, w);
    const cosines = tf.sum(tf.mul(x, targets), 1, true);
    const tangents = tf.sub(targets, tf.mul(cosines, x));
    const isZero = tf.logicalOr(tf.equal(xInverse, 0), tf.equal(tf.sum(tf.square(targets), 1, true), 0));
    const sines = tf.where(isZero, tf.onesLike(cosines), tf.sqrt(tf.sum(tf.square(tangents), 1, true)));
    const rows = columnsOf(rowParametersB4 ?? rowsOfRule(rule, batch));
    const target = targetTerms(cosines, sines, rows, rule);
    const derivatives = tf.where(isZero, tf.zerosLike(cosines), derivativesOf(target.slopes, sines));

    const negatives = negativeTerms(cosinesBC, rule, () => targetThresholds(cosines, sines, rows, rule));
    const excluded = tf.fill(cosinesBC.shape, EXCLUDED);
    const negativesBC = tf.where(isTargetBC, excluded, tf.mul(negatives.values, rows.scale));
    const negativeLogSums = tf.logSumExp(negativesBC, 1, true);
    const gaps = tf.sub(negativeLogSums, tf.mul(target.values, rows.scale));
    // 1 − p, p the probability of the target.
    const errors = tf.sigmoid(gaps);
    const scaledErrors = tf.div(tf.mul(errors, rows.scale), batch);
    const sharesBC = tf.exp(tf.sub(negativesBC, negativeLogSums));
    const factorsBC = tf.mul(negatives.slopes ? tf.mul(sharesBC, negatives.slopes) : sharesBC, scaledErrors);
    const remembered = [x, xInverse, w, wInverse, isTargetBR, cosines, targets];
    remembered.push(toWinners(factorsBC as tf.Tensor2D, winnersBR, shape), tf.neg(tf.mul(scaledErrors, derivatives)));
    if (rowParametersB4) {
      const meanNegatives = tf.sum(tf.mul(sharesBC, negatives.values), 1, true);
      const byScale = tf.mul(tf.div(errors, batch), tf.sub(meanNegatives, target.values));
      const byM1 = tf.neg(tf.mul(scaledErrors, target.byM1));
      const byM2 = tf.neg(tf.mul(scaledErrors, target.byM2));
      remembered.push(tf.concat([byScale, byM1, byM2, tf.mul(scaledErrors, rule.blend ?? 1)], 1));
    }
    save(remembered);

    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => gradients(dy, saved as tf.Tensor2D[], centersCKD.shape);
    return { value: tf.mean(tf.softplus(gaps)), gradFunc };
  });
  return lossOf(...[embeddings, centers, ...(rowParameters ? [rowParameters] : [])]) as tf.Scalar;
}

/** dX [B, D], dW (as the centres), and the row parameters' [B, 4] where there are any, from what the forward pass remembered. */
function gradients(dy: tf.Tensor, remembered: tf.Tensor2D[], centersShape: number[]): tf.Tensor[] {
  const [x, xInverse, w, wInverse, isTargetBR, cosines, targets, factorsBR, targetFactors, rowGradient] = remembered;
  const embeddingTangents = tf.mul(tf.sub(targets, tf.mul(cosines, x)), targetFactors);
  const fromNegatives = tangentPart(tf.matMul(factorsBR, w), x);
  const dX = tf.mul(tf.mul(tf.add(fromNegatives, embeddingTangents), xInverse), dy);

  const centerTangents: tf.Tensor2D = tf.mul(tf.sub(x, tf.mul(cosines, targets)), targetFactors);
  const toNegatives = tangentPart(tf.matMul(factorsBR, x, true), w);
  const toTargets = tf.matMul(isTargetBR, centerTangents, true);
  const dW = tf.reshape(tf.mul(tf.mul(tf.add(toNegatives, toTargets), wInverse), dy), centersShape);
  return rowGradient ? [dX, dW, tf.mul(rowGradient, dy)] : [dX, dW];
}
