import * as tf from '@tensorflow/tfjs-core';
import { indicators } from '../indicators.js';
import type { PairMasks } from './pairs.js';
import { byRows } from './row-chunks.js';

export interface TripletRule {
  /** α of the hinge, or 'soft' for ln(1 + e^x). */
  readonly margin: number | 'soft';
  /** Whether only triplets with d(a,p) < d(a,n) < d(a,p) + α count. */
  readonly semiHard: boolean;
}

/** Over the triplets that count: their losses, how many they are, how many have a loss above 0, and dΣ/d distance [B, B]. */
export interface TripletSums {
  readonly total: tf.Tensor;
  readonly count: tf.Tensor;
  readonly active: tf.Tensor;
  readonly slopesBB: tf.Tensor2D;
}

/** Stands for no distance among the maxima and minima; distances are ≥ 0. */
const NONE = -1;
const FAR = 3e38;

/** Loss and derivative by x = d(a,p) − d(a,n); 0 where the triplet does not count. */
function lossesOf(gaps: tf.Tensor, counts: tf.Tensor, margin: number | 'soft') {
  const zeros = tf.zerosLike(gaps);
  const shifted = margin === 'soft' ? gaps : tf.add(gaps, margin);
  const losses = tf.where(counts, margin === 'soft' ? tf.softplus(gaps) : tf.relu(shifted), zeros);
  const isActive = tf.cast(tf.greater(losses, 0), 'float32');
  const slopes = margin === 'soft' ? tf.where(counts, tf.sigmoid(gaps), zeros) : isActive;
  return { losses, isActive, slopes };
}

/** Every triplet, or every semi-hard one, a block of anchors at a time. */
export function batchAllSums(
  distancesBB: tf.Tensor2D,
  masks: PairMasks,
  { margin, semiHard }: TripletRule,
): TripletSums {
  const batch = distancesBB.shape[0];
  const [totals, counts, actives, slopesBB] = byRows(batch, batch * batch, (start, count) => {
    const rows = (matrix: tf.Tensor2D) => tf.slice(matrix, [start, 0], [count, -1]);
    const distances = rows(distancesBB);
    const [toPositive, toNegative] = [tf.expandDims(distances, 2), tf.expandDims(distances, 1)];
    const gaps = tf.sub(toPositive, toNegative);
    let mined = tf.logicalAnd(tf.expandDims(rows(masks.positiveBB), 2), tf.expandDims(rows(masks.negativeBB), 1));
    if (semiHard) {
      const isInBand = tf.logicalAnd(tf.less(gaps, 0), tf.greater(gaps, -margin));
      mined = tf.logicalAnd(mined, isInBand);
    }
    const { losses, isActive, slopes } = lossesOf(gaps, mined, margin);
    const perAnchor = (values: tf.Tensor) => tf.sum(tf.sum(values, 2), 1);
    const perDistance = tf.sub(tf.sum(slopes, 2), tf.sum(slopes, 1)) as tf.Tensor2D;
    return [perAnchor(losses), perAnchor(tf.cast(mined, 'float32')), perAnchor(isActive), perDistance];
  });
  return { total: tf.sum(totals), count: tf.sum(counts), active: tf.sum(actives), slopesBB };
}

/** For each anchor its farthest positive and its nearest negative. */
export function batchHardSums(
  distancesBB: tf.Tensor2D,
  { positiveBB, negativeBB }: PairMasks,
  { margin }: TripletRule,
): TripletSums {
  const batch = distancesBB.shape[0];
  const toPositives = tf.where(positiveBB, distancesBB, tf.fill(distancesBB.shape, NONE));
  const toNegatives = tf.where(negativeBB, distancesBB, tf.fill(distancesBB.shape, FAR));
  const gaps = tf.sub(tf.max(toPositives, 1), tf.min(toNegatives, 1));
  const hasBoth = tf.logicalAnd(tf.any(positiveBB, 1), tf.any(negativeBB, 1));
  const { losses, isActive, slopes } = lossesOf(gaps, hasBoth, margin);
  const isFarthest = tf.cast(indicators(tf.argMax(toPositives, 1), batch), 'float32');
  const isNearest = tf.cast(indicators(tf.argMin(toNegatives, 1), batch), 'float32');
  const slopesBB = tf.mul(tf.expandDims(slopes, 1), tf.sub(isFarthest, isNearest)) as tf.Tensor2D;
  return { total: tf.sum(losses), count: tf.sum(tf.cast(hasBoth, 'float32')), active: tf.sum(isActive), slopesBB };
}
