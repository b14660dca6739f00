import * as tf from '@tensorflow/tfjs-core';
import type { MagnitudeAdaptation } from '../specs/index.js';
import { clampNorms } from './norms.js';
import type { AdaptationRuntime, OfNorms } from './runtime.js';

/**
 * MagFace (Meng et al., CVPR 2021, eq. 3–5): m2 = m(a), and the loss λ_g·mean(a/u_a² + 1/a), a = clamp(‖x‖, l_a, u_a). The
 * gradient flows through a, and stops where it is clamped. The penalty is training's alone.
 */
export function magnitude({
  lowerNorm,
  upperNorm,
  lowerMargin,
  upperMargin,
  regularizer,
}: MagnitudeAdaptation): AdaptationRuntime<null> {
  const slope = (upperMargin - lowerMargin) / (upperNorm - lowerNorm);
  const marginOf = (norms: tf.Tensor2D): OfNorms => {
    const { clamped, inside } = clampNorms(norms, lowerNorm, upperNorm);
    return { values: tf.add(tf.mul(tf.sub(clamped, lowerNorm), slope), lowerMargin), byNorm: tf.mul(inside, slope) };
  };
  const penalty = (norms: tf.Tensor2D): OfNorms => {
    const { clamped, inside } = clampNorms(norms, lowerNorm, upperNorm);
    const weight = regularizer / norms.size;
    const values = tf.add(tf.div(clamped, upperNorm ** 2), tf.div(1, clamped)) as tf.Tensor2D;
    const slopes = tf.sub(1 / upperNorm ** 2, tf.div(1, tf.square(clamped)));
    return { values: tf.mul(values, weight), byNorm: tf.mul(tf.mul(slopes, inside), weight) };
  };
  const columns = { m2: marginOf };
  return {
    initial: null,
    train: () => ({ contribution: regularizer > 0 ? { columns, penalty } : { columns }, state: null }),
    evaluate: () => ({ columns }),
    read: () => null,
  };
}
