import * as tf from '@tensorflow/tfjs-core';
import { indicators } from '../indicators.js';
import { tangentPart, unitRows } from '../unit-rows.js';
import { byRows } from './row-chunks.js';

/** How two embeddings are compared: ‖a − b‖, ‖a − b‖², or cos θ. */
export type PairMeasure = 'euclidean' | 'squared' | 'cosine';

/** Which pairs of a batch share an identity, and which do not; bool [B, B]. The diagonal is in neither. */
export interface PairMasks {
  readonly positiveBB: tf.Tensor2D;
  readonly negativeBB: tf.Tensor2D;
}

/** A loss of the pairs of a batch, and its derivative by the measure of each ordered pair, 0 on the diagonal [B, B]. */
export interface PairTerms {
  readonly value: tf.Scalar;
  readonly slopesBB: tf.Tensor2D;
}

/** The same identities, numbered from 0: WebGL keeps integers as floats, which makes one of 2²⁴ and 2²⁴ + 1. */
function renumbered(labels: Int32Array): Int32Array {
  const numberOf = new Map<number, number>();
  for (const label of labels) if (!numberOf.has(label)) numberOf.set(label, numberOf.size);
  return labels.map((label) => numberOf.get(label)!);
}

function pairMasks(labels: Int32Array): PairMasks {
  const [batch, numbers] = [labels.length, renumbered(labels)];
  const [column, row] = [tf.tensor2d(numbers, [batch, 1], 'int32'), tf.tensor2d(numbers, [1, batch], 'int32')];
  const isSelf = indicators(tf.range(0, batch, 1, 'int32'), batch);
  return {
    positiveBB: tf.logicalAnd(tf.equal(column, row), tf.logicalNot(isSelf)),
    negativeBB: tf.notEqual(column, row),
  };
}

/** x_i − x_j for `count` rows i from `start` on, and every j [count, B, D]. */
function differences(points: tf.Tensor2D, start: number, count: number): tf.Tensor3D {
  const rows = tf.slice(points, [start, 0], [count, -1]);
  return tf.sub(tf.expandDims(rows, 1), tf.expandDims(points, 0));
}

/**
 * ‖x_i − x_j‖² [B, B] as a sum of squared differences: ‖x_i‖² + ‖x_j‖² − 2·x_i·x_j would lose the digits of near pairs, the very ones
 * that decide a hinge.
 */
function squaredDistances(points: tf.Tensor2D): tf.Tensor2D {
  const [batch, dim] = points.shape;
  const [distances] = byRows(batch, batch * dim, (start, count) => [
    tf.sum(tf.square(differences(points, start, count)), 2) as tf.Tensor2D,
  ]);
  return distances;
}

/** Σ_j f_ij·(x_i − x_j) [B, D]. */
function weightedDifferences(points: tf.Tensor2D, factorsBB: tf.Tensor): tf.Tensor2D {
  const [batch, dim] = points.shape;
  const [sums] = byRows(batch, batch * dim, (start, count) => {
    const factors = tf.expandDims(tf.slice(factorsBB, [start, 0], [count, -1]), 1);
    return [tf.squeeze(tf.matMul(factors, differences(points, start, count)), [1]) as tf.Tensor2D];
  });
  return sums;
}

function measuresOf(points: tf.Tensor2D, measure: PairMeasure): tf.Tensor2D {
  if (measure === 'cosine') return tf.matMul(points, points, false, true);
  const squared = squaredDistances(points);
  return measure === 'squared' ? squared : tf.sqrt(squared);
}

/** Gradient of the points [B, D] from the slope of each measure [B, B]. Where ‖a − b‖ is 0 its direction is undefined: 0. */
function pointGradient(points: tf.Tensor2D, measuresBB: tf.Tensor2D, slopesBB: tf.Tensor2D, measure: PairMeasure) {
  const both = tf.add(slopesBB, tf.transpose(slopesBB)) as tf.Tensor2D;
  if (measure === 'cosine') return tf.matMul(both, points);
  if (measure === 'squared') return weightedDifferences(points, tf.mul(both, 2));
  const isApart = tf.greater(measuresBB, 0);
  const divisors = tf.where(isApart, measuresBB, tf.onesLike(measuresBB));
  return weightedDifferences(points, tf.where(isApart, tf.div(both, divisors), tf.zerosLike(both)));
}

/**
 * A loss of the measures between all pairs of a batch, differentiable once with respect to the embeddings [B, D]. Takes O(B²·D) time and,
 * whatever B is, [B, B] matrices and intermediates of 64 MiB (or what one row of the batch takes).
 * @param normalize whether embeddings are scaled to unit length first; 'cosine' always does. A zero row stays 0, with gradient 0.
 */
export function pairLoss(
  embeddings: tf.Tensor2D,
  labels: Int32Array,
  { measure, normalize }: { readonly measure: PairMeasure; readonly normalize: boolean },
  terms: (measuresBB: tf.Tensor2D, masks: PairMasks) => PairTerms,
): tf.Scalar {
  const loss = tf.customGrad((embeddingsBD, save) => {
    const raw = embeddingsBD as tf.Tensor2D;
    const { units, inverseLengths } = normalize ? unitRows(raw) : { units: raw, inverseLengths: tf.ones([1, 1]) };
    const measuresBB = measuresOf(units, measure);
    const { value: ofPairs, slopesBB } = terms(measuresBB, pairMasks(labels));
    // A row that is not finite spoils the gradient of all, and may be in no pair that counts: the loss shall tell.
    const value: tf.Scalar = tf.add(ofPairs, tf.sum(tf.mul(units, 0)));
    (save as tf.GradSaveFunc)([units, inverseLengths, measuresBB, slopesBB]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [points, inverses, measures, slopes] = saved as tf.Tensor2D[];
      const gradient = pointGradient(points!, measures!, slopes!, measure);
      return tf.mul(normalize ? tf.mul(tangentPart(gradient as tf.Tensor2D, points!), inverses!) : gradient, dy);
    };
    return { value, gradFunc };
  });
  return loss(embeddings) as tf.Scalar;
}

/** Σ values / count, 0 where nothing was counted. */
export function meanOver(total: tf.Tensor, count: tf.Tensor): tf.Scalar {
  return tf.div(total, tf.maximum(count, 1)) as tf.Scalar;
}
