import * as tf from '@tensorflow/tfjs-core';

/** Below this length a row counts as zero (docs/numerics.md, "Unit vectors"). */
const ZERO_NORM = 1e-12;

/** The squares of an element above this may sum to infinity in fp32; times the power of two below they do not. */
const LONG_ELEMENT = 1e16;
const SHRINK = 2 ** -80;

export interface UnitRows {
  /** Rows scaled to unit length, zero rows left 0; NaN where a row is not finite [N, D]. */
  readonly units: tf.Tensor2D;
  /** 1/‖row‖, 0 for zero rows, NaN for rows that are not finite [N, 1]. */
  readonly inverseLengths: tf.Tensor2D;
}

export function unitRows(rawRows: tf.Tensor2D): UnitRows {
  const isLong = tf.greater(tf.max(tf.abs(rawRows), 1, true), LONG_ELEMENT);
  const shrink = tf.where(isLong, tf.fill(isLong.shape, SHRINK), tf.ones(isLong.shape));
  const rows = tf.mul(rawRows, shrink);
  const measured = tf.norm(rows, 2, 1, true);
  // NaN where infinite: 1/∞ would be the 0 of a zero row, and to WebGL ∞/∞ is 1.
  const lengths = tf.add(measured, tf.mul(measured, 0));
  const isZero = tf.less(lengths, ZERO_NORM);
  const ones = tf.onesLike(lengths);
  const inverseLengths = tf.where(isZero, tf.zerosLike(lengths), tf.div(shrink, lengths)) as tf.Tensor2D;
  // Divided, not multiplied by the inverse: one rounding less in every cosine.
  const nonZero = tf.where(isZero, tf.zerosLike(rows), rows);
  const units = tf.div(nonZero, tf.where(isZero, ones, lengths)) as tf.Tensor2D;
  return { units, inverseLengths };
}

/** Row by row, the part of `vectors` orthogonal to `units`: v − (v·u)u. Both [N, D]. */
export function tangentPart(vectors: tf.Tensor2D, units: tf.Tensor2D): tf.Tensor2D {
  return tf.sub(vectors, tf.mul(tf.sum(tf.mul(vectors, units), 1, true), units));
}

/**
 * ‖x‖ of each row [N, 1], 0 for zero rows and NaN for rows that are not finite; differentiable once, with x̂ (0 for zero rows), also without the gradients of tfjs's own
 * ops.
 */
export function rowNorms(rows: tf.Tensor2D): tf.Tensor2D {
  const norms = tf.customGrad((input, save) => {
    const { units, inverseLengths } = unitRows(input as tf.Tensor2D);
    const isZero = tf.equal(inverseLengths, 0);
    (save as tf.GradSaveFunc)([units]);
    return {
      value: tf.where(isZero, tf.zerosLike(inverseLengths), tf.div(1, inverseLengths)),
      gradFunc: (dy: tf.Tensor, [directions]: tf.Tensor[]) => tf.mul(directions!, dy),
    };
  });
  return norms(rows) as tf.Tensor2D;
}
