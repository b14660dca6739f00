import { checkMarginRule } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';
import type { Labels } from './checks.js';
import { checkFloat, checkShape, readLabels } from './checks.js';
import { indicators } from './indicators.js';
import type { MarginSpec } from './specs.js';
import { derivativesOf, targetLogits } from './target-logit.js';
import { tangentPart, unitRows } from './unit-rows.js';

/** Stands for −∞ in the logits of a target among the negatives: e^(this − anything) is 0 in fp32. */
const EXCLUDED = -1e30;

/** Class centres [C, D], or [C, K, D] with sub-centres. */
export type Centers = tf.Tensor2D | tf.Tensor3D;

interface Shape {
  readonly classes: number;
  readonly subCenters: number;
  readonly dim: number;
}

export function shapeOfCenters(centers: Centers): Shape {
  checkFloat('centers', centers);
  const isRight = (centers.rank === 2 || centers.rank === 3) && centers.size > 0;
  checkShape('centers', centers, '[C, D] or [C, K, D], each ≥ 1', isRight);
  const [classes, ...rest] = centers.shape as number[];
  return { classes: classes!, subCenters: rest.length === 2 ? rest[0] : 1, dim: rest.at(-1)! };
}

function checkEmbeddings(embeddings: tf.Tensor2D, dim: number): void {
  checkFloat('embeddings', embeddings);
  checkShape('embeddings', embeddings, `[B, ${dim}], B ≥ 1`, embeddings.rank === 2 && embeddings.shape[1] === dim);
  checkShape('embeddings', embeddings, `[B, ${dim}], B ≥ 1`, embeddings.shape[0] >= 1);
}

/** Cosines with each class, and which of its sub-centres gave them. */
interface ClassCosines {
  readonly cosinesBC: tf.Tensor2D;
  /** 1 where row r = class·K + k is the winner of its class [B, R]; null when K is 1. */
  readonly winnersBR: tf.Tensor2D | null;
}

function winningCosines(
  unitsBD: tf.Tensor2D,
  centerUnitsRD: tf.Tensor2D,
  { classes, subCenters }: Shape,
): ClassCosines {
  const cosinesBR: tf.Tensor2D = tf.matMul(unitsBD, centerUnitsRD, false, true);
  if (subCenters === 1) return { cosinesBC: cosinesBR, winnersBR: null };
  const cosinesBCK = tf.reshape(cosinesBR, [-1, classes, subCenters]);
  const winnersBCK = tf.cast(indicators(tf.argMax(cosinesBCK, 2), subCenters), 'float32');
  return { cosinesBC: tf.max(cosinesBCK, 2), winnersBR: tf.reshape(winnersBCK, cosinesBR.shape) };
}

/** [B, C] → [B, R]: each class's number at its winning row, 0 elsewhere. */
function toWinners(valuesBC: tf.Tensor2D, winnersBR: tf.Tensor2D | null, { classes, subCenters }: Shape): tf.Tensor2D {
  if (!winnersBR) return valuesBC;
  const tiled = tf.tile(tf.expandDims(valuesBC, 2), [1, 1, subCenters]);
  return tf.mul(tf.reshape(tiled, [-1, classes * subCenters]), winnersBR);
}

/**
 * Plain cosines x̂·ŵ of embeddings [B, D] with each class, the maximum over sub-centres [B, C]. Not differentiable.
 * @throws HyperArcError E_SHAPE, E_DTYPE.
 */
export function classCosines(embeddings: tf.Tensor2D, centers: Centers): tf.Tensor2D {
  const shape = shapeOfCenters(centers);
  checkEmbeddings(embeddings, shape.dim);
  return tf.tidy(() => {
    const centerUnits = unitRows(tf.reshape(centers, [-1, shape.dim])).units;
    return winningCosines(unitRows(embeddings).units, centerUnits, shape).cosinesBC;
  });
}

/**
 * Mean margin-softmax loss, −ln( e^T / (e^T + Σ_{j≠y} e^(s·c_j)) ) with the margin of `spec` in T: Deng et al., "ArcFace",
 * CVPR 2019, eq. 3; with sub-centres Deng et al., "Sub-center ArcFace", ECCV 2020. Plain tfjs ops on any backend; makes a
 * [B, C] matrix, so it is for classes that fit in memory that way ('./engine' has the path for millions).
 *
 * Differentiable once with respect to `embeddings` and `centers`. Both gradients are the closed forms of docs/numerics.md,
 * finite also where an embedding lies on its centre. Non-finite embeddings give a non-finite loss.
 *
 * @param embeddings float32 [B, D], of any length: they are normalised here
 * @param centers float32 [C, D] or [C, K, D], normalised here
 * @param labels [B], class indices in [0, C)
 * @returns float32 scalar
 * @throws HyperArcError E_SHAPE, E_DTYPE; E_RANGE for a label outside [0, C) or a margin outside its range.
 */
export function marginSoftmaxLoss(
  embeddings: tf.Tensor2D,
  centers: Centers,
  labels: Labels,
  spec: MarginSpec,
): tf.Scalar {
  const shape = shapeOfCenters(centers);
  checkMarginRule(spec);
  checkEmbeddings(embeddings, shape.dim);
  const batch = embeddings.shape[0];
  const labelsB = readLabels(labels, batch, shape.classes);

  const loss = tf.customGrad((embeddingsBD, centersCKD, save) => {
    const { units: x, inverseLengths: xInverse } = unitRows(embeddingsBD as tf.Tensor2D);
    const rows: tf.Tensor2D = tf.reshape(centersCKD as tf.Tensor, [-1, shape.dim]);
    const { units: w, inverseLengths: wInverse } = unitRows(rows);
    const { cosinesBC, winnersBR } = winningCosines(x, w, shape);
    const isTargetBC = indicators(tf.tensor1d(labelsB, 'int32'), shape.classes) as tf.Tensor2D;
    const isTargetBR = toWinners(tf.cast(isTargetBC, 'float32'), winnersBR, shape);

    const targets: tf.Tensor2D = tf.matMul(isTargetBR, w);
    const cosines = tf.sum(tf.mul(x, targets), 1, true);
    const tangents = tf.sub(targets, tf.mul(cosines, x));
    const isZero = tf.logicalOr(tf.equal(xInverse, 0), tf.equal(tf.sum(tf.square(targets), 1, true), 0));
    const sines = tf.where(isZero, tf.onesLike(cosines), tf.sqrt(tf.sum(tf.square(tangents), 1, true)));
    const { logits, slopes } = targetLogits(cosines, sines, spec);
    const derivatives = tf.where(isZero, tf.zerosLike(slopes), derivativesOf(slopes, sines));

    const excluded = tf.fill(cosinesBC.shape, EXCLUDED);
    const negativesBC = tf.where(isTargetBC, excluded, tf.mul(cosinesBC, spec.scale));
    const negativeLogSums = tf.logSumExp(negativesBC, 1, true);
    const gaps = tf.sub(negativeLogSums, logits);
    // 1 − p, p the probability of the target.
    const errors = tf.sigmoid(gaps);
    const shares = tf.mul(tf.exp(tf.sub(negativesBC, negativeLogSums)), errors);
    const negativeFactorsBR = toWinners(tf.mul(shares, spec.scale / batch), winnersBR, shape);
    const targetFactors = tf.div(tf.mul(errors, derivatives), -batch);
    const remembered = [x, xInverse, w, wInverse, isTargetBR, cosines, targets, negativeFactorsBR, targetFactors];
    (save as tf.GradSaveFunc)(remembered);

    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) =>
      gradients(dy, saved as tf.Tensor2D[], (centersCKD as tf.Tensor).shape);
    return { value: tf.mean(tf.softplus(gaps)), gradFunc };
  });
  return loss(embeddings, centers) as tf.Scalar;
}

/** dX [B, D] and dW (as the centres), from what the forward pass remembered. */
function gradients(dy: tf.Tensor, remembered: tf.Tensor2D[], centersShape: number[]): tf.Tensor[] {
  const [x, xInverse, w, wInverse, isTargetBR, cosines, targets, negativeFactorsBR, targetFactors] = remembered;
  const embeddingTangents = tf.mul(tf.sub(targets, tf.mul(cosines, x)), targetFactors);
  const fromNegatives = tangentPart(tf.matMul(negativeFactorsBR, w), x);
  const dX = tf.mul(tf.mul(tf.add(fromNegatives, embeddingTangents), xInverse), dy);

  const centerTangents: tf.Tensor2D = tf.mul(tf.sub(x, tf.mul(cosines, targets)), targetFactors);
  const toNegatives = tangentPart(tf.matMul(negativeFactorsBR, x, true), w);
  const toTargets = tf.matMul(isTargetBR, centerTangents, true);
  const dW = tf.mul(tf.mul(tf.add(toNegatives, toTargets), wInverse), dy);
  return [dX, tf.reshape(dW, centersShape)];
}
