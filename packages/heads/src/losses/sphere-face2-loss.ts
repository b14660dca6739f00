import * as tf from '@tensorflow/tfjs-core';
import type { Labels } from '../checks.js';
import { checkPositiveInteger } from '../checks.js';
import { checkNumber, checkOneOf, checkOptions, fail } from '../specs/check-options.js';
import { binaryClassLoss } from './class-similarities.js';

export interface SphereFace2Options {
  /** λ in (0, 1), weight of positives against negatives; default 0.7. */
  readonly balance?: number;
  /** r in (0, 1024], the radius that scales the logits; default 40. */
  readonly scale?: number;
  /** m in [0, 1], added to both sides of the cosine; default 0.4. */
  readonly margin?: number;
  /** t in [1, 16], exponent of the similarity adjustment; default 3. */
  readonly exponent?: number;
  /** 'exact' (default), or 'straight-through': dg/dcosθ counts as 1, which the authors' program computes. */
  readonly gradient?: 'exact' | 'straight-through';
}

/**
 * SphereFace2: one binary classification for each pair of sample and class. Mean over samples of
 * λ/r·ln(1 + e^(−r·(g(cosθ_y) − m) − b)) + (1 − λ)/r·Σ_{j≠y} ln(1 + e^(r·(g(cosθ_j) + m) + b)), g(z) = 2·((z + 1)/2)^t − 1.
 * Wen et al., "SphereFace2: Binary Classification is All You Need for Deep Face Recognition", ICLR 2022, with its additive cosine margin
 * (SphereFace2-C). The authors' program multiplies that by 50 and takes g without its gradient ('straight-through').
 *
 * Every pair has a sigmoid of its own, and no softmax couples the classes of a sample, which is what the engine streams: plain tfjs ops
 * with a [B, C] matrix, for classes that fit in memory that way. Differentiable once with respect to embeddings, centres and bias.
 *
 * @param embeddings float32 [B, D], normalised here
 * @param centers float32 [C, D], normalised here
 * @param bias b, a float32 scalar to learn (start from {@link sphereFace2Bias}), or a number
 * @param labels [B], class indices in [0, C)
 * @returns float32 scalar
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE naming the parameter.
 */
export function sphereFace2Loss(
  embeddings: tf.Tensor,
  centers: tf.Tensor,
  bias: tf.Tensor | number,
  labels: Labels,
  options: SphereFace2Options = {},
): tf.Scalar {
  const { balance, scale, margin, exponent, gradient } = checked('sphereFace2Loss', options);
  return binaryClassLoss(embeddings, centers, bias, labels, (cosines, isTarget, b) => {
    // Rounding takes a cosine past −1 by an ulp, and half an ulp below 0 has no power.
    const halves = tf.mul(tf.maximum(tf.add(cosines, 1), 0), 0.5);
    const adjusted = tf.sub(tf.mul(tf.pow(halves, exponent), 2), 1);
    const trueSlopes = () => tf.mul(tf.pow(halves, exponent - 1), exponent);
    const adjustedSlopes = gradient === 'exact' ? trueSlopes() : tf.onesLike(cosines);

    const signs = tf.where(isTarget, tf.fill(cosines.shape, -1), tf.ones(cosines.shape));
    const weights = tf.where(
      isTarget,
      tf.fill(cosines.shape, balance / scale),
      tf.fill(cosines.shape, (1 - balance) / scale),
    );
    // What is wrong with a pair, in logits: −(r(g − m) + b) of a target, r(g + m) + b of a negative.
    const violations = tf.add(tf.mul(signs, tf.add(tf.mul(adjusted, scale), b)), scale * margin);
    const biasSlopesBC = tf.mul(tf.mul(weights, signs), tf.sigmoid(violations));
    return {
      lossesBC: tf.mul(weights, tf.softplus(violations)),
      slopesBC: tf.mul(tf.mul(biasSlopesBC, adjustedSlopes), scale),
      biasSlopesBC,
    };
  });
}

/**
 * The bias at which positives and negatives pull on it equally when every cosine is 0, as at the start of training: the root of
 * λ·σ(−r(g(0) − m) − b) = (1 − λ)(C − 1)·σ(r(g(0) + m) + b), which the authors' program starts from.
 * @param classes C ≥ 2
 * @throws HyperArcError E_RANGE naming the parameter.
 */
export function sphereFace2Bias(classes: number, options: SphereFace2Options = {}): number {
  checkPositiveInteger('classes', classes);
  if (classes < 2) fail('classes', 'an integer ≥ 2', classes, 'a single class has no negatives to balance');
  const { balance, scale, margin, exponent } = checked('sphereFace2Bias', options);
  const atZero = 2 * 0.5 ** exponent - 1;
  const [target, negative] = [scale * (atZero - margin), scale * (atZero + margin)];
  const ratio = balance / ((1 - balance) * (classes - 1));
  // e^b solves E²·e^(target + negative) + (1 − ratio)·e^negative·E − ratio = 0; each form is the one without cancellation.
  const root = Math.sqrt((1 - ratio) ** 2 + 4 * ratio * Math.exp(target - negative));
  if (ratio > 1) return Math.log((ratio - 1 + root) / 2) - target;
  return Math.log((2 * ratio) / (1 - ratio + root)) - negative;
}

function checked(name: string, options: SphereFace2Options): Required<SphereFace2Options> {
  checkOptions(name, options, ['balance', 'scale', 'margin', 'exponent', 'gradient']);
  const { balance = 0.7, scale = 40, margin = 0.4, exponent = 3, gradient = 'exact' } = options;
  checkNumber('balance', balance, { low: 0, high: 1, openLow: true });
  if (balance === 1) fail('balance', 'a number in (0, 1)', balance, 'at 1 negatives count for nothing');
  checkNumber('scale', scale, { low: 0, high: 1024, openLow: true });
  checkNumber('margin', margin, { low: 0, high: 1 });
  checkNumber('exponent', exponent, { low: 1, high: 16 });
  checkOneOf('gradient', gradient, ['exact', 'straight-through']);
  return { balance, scale, margin, exponent, gradient };
}
