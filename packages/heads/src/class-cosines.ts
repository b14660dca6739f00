import * as tf from '@tensorflow/tfjs-core';
import { checkFloat, checkShape } from './checks.js';
import { indicators } from './indicators.js';
import { tangentPart, unitRows } from './unit-rows.js';

/** Class centres [C, D], or [C, K, D] with sub-centres. */
export type Centers = tf.Tensor;

export interface CentersShape {
  readonly classes: number;
  readonly subCenters: number;
  readonly dim: number;
}

/** @throws HyperArcError E_DTYPE, E_SHAPE. */
export function shapeOfCenters(centers: Centers): CentersShape {
  checkFloat('centers', centers);
  const isRight = (centers.rank === 2 || centers.rank === 3) && centers.size > 0;
  checkShape('centers', centers, '[C, D] or [C, K, D], each ≥ 1', isRight);
  const [classes, ...rest] = centers.shape as number[];
  return { classes: classes!, subCenters: rest.length === 2 ? rest[0] : 1, dim: rest.at(-1)! };
}

/** @throws HyperArcError E_DTYPE, E_SHAPE unless `embeddings` are [B, dim]. */
export function checkEmbeddings(embeddings: tf.Tensor, dim: number): asserts embeddings is tf.Tensor2D {
  checkFloat('embeddings', embeddings);
  checkShape('embeddings', embeddings, `[B, ${dim}], B ≥ 1`, embeddings.rank === 2 && embeddings.shape[1] === dim);
  checkShape('embeddings', embeddings, `[B, ${dim}], B ≥ 1`, embeddings.shape[0] >= 1);
}

/** Cosines with each class, and which of its sub-centres gave them. */
export interface WinningCosines {
  readonly cosinesBC: tf.Tensor2D;
  /** 1 where row r = class·K + k is the winner of its class [B, R]; null when K is 1. */
  readonly winnersBR: tf.Tensor2D | null;
}

export function winningCosines(
  unitsBD: tf.Tensor2D,
  centerUnitsRD: tf.Tensor2D,
  { classes, subCenters }: CentersShape,
): WinningCosines {
  const cosinesBR: tf.Tensor2D = tf.matMul(unitsBD, centerUnitsRD, false, true);
  if (subCenters === 1) return { cosinesBC: cosinesBR, winnersBR: null };
  const cosinesBCK = tf.reshape(cosinesBR, [-1, classes, subCenters]);
  const winnersBCK = tf.cast(indicators(tf.argMax(cosinesBCK, 2), subCenters), 'float32');
  return { cosinesBC: tf.max(cosinesBCK, 2), winnersBR: tf.reshape(winnersBCK, cosinesBR.shape) };
}

/** [B, C] → [B, R]: each class's number at its winning row, 0 elsewhere. */
export function toWinners(
  valuesBC: tf.Tensor2D,
  winnersBR: tf.Tensor2D | null,
  { classes, subCenters }: CentersShape,
): tf.Tensor2D {
  if (!winnersBR) return valuesBC;
  const tiled = tf.tile(tf.expandDims(valuesBC, 2), [1, 1, subCenters]);
  return tf.mul(tf.reshape(tiled, [-1, classes * subCenters]), winnersBR);
}

/**
 * Plain cosines x̂·ŵ of embeddings [B, D] with each class, the maximum over sub-centres [B, C]. Differentiable once with respect to
 * both; the gradient of a zero row is 0.
 * @throws HyperArcError E_SHAPE, E_DTYPE.
 */
export function classCosines(embeddings: tf.Tensor, centers: Centers): tf.Tensor2D {
  const shape = shapeOfCenters(centers);
  checkEmbeddings(embeddings, shape.dim);
  const cosinesOf = tf.customGrad((embeddingsBD, centersCKD, save) => {
    const { units: x, inverseLengths: xInverse } = unitRows(embeddingsBD as tf.Tensor2D);
    const rows: tf.Tensor2D = tf.reshape(centersCKD as tf.Tensor, [-1, shape.dim]);
    const { units: w, inverseLengths: wInverse } = unitRows(rows);
    const { cosinesBC, winnersBR } = winningCosines(x, w, shape);
    (save as tf.GradSaveFunc)(winnersBR ? [x, xInverse, w, wInverse, winnersBR] : [x, xInverse, w, wInverse]);
    const centersShape = (centersCKD as tf.Tensor).shape;
    return { value: cosinesBC, gradFunc: (dy, saved) => gradients(dy, saved as tf.Tensor2D[], shape, centersShape) };
  });
  return cosinesOf(embeddings, centers) as tf.Tensor2D;
}

/** dX [B, D], and dW as the centres. */
function gradients(
  dy: tf.Tensor,
  [x, xInverse, w, wInverse, winnersBR]: tf.Tensor2D[],
  shape: CentersShape,
  centersShape: number[],
): tf.Tensor[] {
  const dyBR = toWinners(dy as tf.Tensor2D, winnersBR ?? null, shape);
  const dX = tf.mul(tangentPart(tf.matMul(dyBR, w!), x!), xInverse!);
  const dW = tf.mul(tangentPart(tf.matMul(dyBR, x!, true), w!), wInverse!);
  return [dX, tf.reshape(dW, centersShape)];
}
