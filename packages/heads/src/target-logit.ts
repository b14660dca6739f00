import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';
import type { RowColumns } from './row-parameters.js';

/** ε of the 'clip' fallback where the rule does not say, radians. */
const CLIP_RADIANS = 1e-4;

/** Below this sine the direction from an embedding to its centre is rounding noise of fp32 data. */
const NOISE_SINE = 1e-6;

/** A function of θ, m1 and m2, and its derivatives; tensors of one shape. */
interface Angular {
  readonly values: tf.Tensor;
  /** d/dcosθ·sinθ, finite also where d/dcosθ is not */
  readonly slopes: tf.Tensor;
  readonly byM1: tf.Tensor;
  readonly byM2: tf.Tensor;
}

/** The target logit over the scale, V = T/s = w·(A(θ) − m3) + (1 − w)·cosθ. dV/dm3 = −w. */
export type TargetTerms = Angular;

/** Angles by their cosines, sines ≥ 0, and θ = atan2(sine, cosine). */
interface Angles {
  readonly cosines: tf.Tensor;
  readonly sines: tf.Tensor;
  readonly theta: tf.Tensor;
}

function choose(condition: tf.Tensor, chosen: Angular, otherwise: Angular): Angular {
  return {
    values: tf.where(condition, chosen.values, otherwise.values),
    slopes: tf.where(condition, chosen.slopes, otherwise.slopes),
    byM1: tf.where(condition, chosen.byM1, otherwise.byM1),
    byM2: tf.where(condition, chosen.byM2, otherwise.byM2),
  };
}

/** cos φ, φ = m1·θ + m2, with what the fallback puts in its place. */
function cosineFamily({ cosines, sines, theta }: Angles, { m1, m2 }: RowColumns, rule: MarginRule): Angular {
  const phi = tf.add(tf.mul(theta, m1), m2);
  // Without an angular margin the cosine itself, which cos(atan2(…)) would round once more.
  const isPlain = tf.logicalAnd(tf.equal(m1, 1), tf.equal(m2, 0));
  const sinPhi = tf.where(isPlain, sines, tf.sin(phi));
  const within: Angular = {
    values: tf.where(isPlain, cosines, tf.cos(phi)),
    slopes: tf.mul(m1, sinPhi),
    byM1: tf.neg(tf.mul(sinPhi, theta)),
    byM2: tf.neg(sinPhi),
  };
  const zeros = tf.zerosLike(phi);
  switch (rule.fallback) {
    case 'none':
      return within;
    case 'easy':
      return choose(tf.greater(cosines, 0), within, { values: cosines, slopes: sines, byM1: zeros, byM2: zeros });
    case 'clip': {
      const low = rule.clipRadians ?? CLIP_RADIANS;
      const clamped = tf.clipByValue(phi, low, Math.PI - low);
      return choose(tf.equal(clamped, phi), within, {
        values: tf.cos(clamped),
        slopes: zeros,
        byM1: zeros,
        byM2: zeros,
      });
    }
    case 'hard': {
      // π − θ0, θ0 = (π − m2)/m1: for m1 = 1 it is m2 to the last bit, as the published cosθ − m·sin m has it.
      const arc = tf.div(tf.add(tf.mul(tf.sub(m1, 1), Math.PI), m2), m1);
      const byM2 = tf.neg(tf.div(tf.add(tf.sin(arc), tf.mul(arc, tf.cos(arc))), m1));
      const beyond: Angular = {
        values: tf.sub(cosines, tf.mul(arc, tf.sin(arc))),
        slopes: sines,
        byM1: tf.mul(tf.sub(Math.PI, arc), byM2),
        byM2,
      };
      const isBeyond = tf.logicalAnd(tf.greater(arc, 0), tf.greater(phi, Math.PI));
      return choose(isBeyond, beyond, within);
    }
  }
}

/** (−1)^k·cos(m1·θ) − 2k, k = ⌊m1·θ/π⌋: Liu et al., "SphereFace", CVPR 2017, eq. 7. */
function sphereFamily({ theta }: Angles, { m1 }: RowColumns): Angular {
  const phi = tf.mul(theta, m1);
  const k = tf.floor(tf.div(phi, Math.PI));
  // (−1)^k·cos φ = cos(φ − kπ), and the same of the sine.
  const rest = tf.sub(phi, tf.mul(k, Math.PI));
  const sine = tf.sin(rest);
  return {
    values: tf.sub(tf.cos(rest), tf.mul(k, 2)),
    slopes: tf.mul(m1, sine),
    byM1: tf.neg(tf.mul(sine, theta)),
    byM2: tf.zerosLike(phi),
  };
}

/** −m1·(θ − m2)²: Xu et al., "X2-Softmax", 2023, eq. 6. */
function quadraticFamily({ theta }: Angles, { m1, m2 }: RowColumns): Angular {
  const from = tf.sub(theta, m2);
  const byM1 = tf.neg(tf.square(from));
  const slopes = tf.mul(tf.mul(m1, 2), from);
  return { values: tf.mul(m1, byM1), slopes, byM1, byM2: slopes };
}

/** (1 + m2 − c)(c − 1 + m2): Sun et al., "Circle Loss", CVPR 2020, eq. 6, whose programs detach the first factor. */
function circleFamily({ cosines, sines }: Angles, { m2 }: RowColumns, rule: MarginRule): Angular {
  const distances = tf.sub(1, cosines);
  const weights = tf.add(distances, m2);
  const derivatives = rule.gradient === 'straight-through' ? weights : tf.mul(distances, 2);
  return {
    values: tf.mul(weights, tf.sub(m2, distances)),
    slopes: tf.mul(derivatives, sines),
    byM1: tf.zerosLike(cosines),
    byM2: tf.mul(m2, 2),
  };
}

function unmargined(angles: Angles, rows: RowColumns, rule: MarginRule): Angular {
  switch (rule.family) {
    case 'sphere':
      return sphereFamily(angles, rows);
    case 'quadratic':
      return quadraticFamily(angles, rows);
    case 'circle':
      return circleFamily(angles, rows, rule);
    default:
      return cosineFamily(angles, rows, rule);
  }
}

/**
 * V of angles whose cosines and sines are given, all [B, 1], with its derivatives (docs/numerics.md, "Target logit").
 * Plain tfjs ops; not meant to be differentiated through. The derivatives by m1 and m2 are the true ones in both gradient modes.
 */
export function targetTerms(cosines: tf.Tensor, sines: tf.Tensor, rows: RowColumns, rule: MarginRule): TargetTerms {
  const angles = { cosines, sines, theta: tf.atan2(sines, cosines) };
  const { values, slopes, byM1, byM2 } = unmargined(angles, rows, rule);
  const isStraight = rule.gradient === 'straight-through' && rule.family !== 'circle';
  const margined: TargetTerms = {
    values: tf.sub(values, rows.m3),
    slopes: isStraight ? sines : slopes,
    byM1,
    byM2,
  };
  const w = rule.blend ?? 1;
  if (w === 1) return margined;
  const blended = (margin: tf.Tensor, plain: tf.Tensor) => tf.add(tf.mul(margin, w), tf.mul(plain, 1 - w));
  return {
    values: blended(margined.values, cosines),
    slopes: blended(margined.slopes, sines),
    byM1: tf.mul(byM1, w),
    byM2: tf.mul(byM2, w),
  };
}

/** What negatives with threshold 'target' are compared with, A(θ) − m3 without fallback and blend [B, 1]. */
export function targetThresholds(cosines: tf.Tensor, sines: tf.Tensor, rows: RowColumns, rule: MarginRule): tf.Tensor {
  return targetTerms(cosines, sines, rows, { ...rule, fallback: 'none', blend: 1 }).values;
}

/** dV/dcosθ = slope/sinθ, and 0 where the direction of that derivative is noise. */
export function derivativesOf(slopes: tf.Tensor, sines: tf.Tensor): tf.Tensor {
  return tf.where(tf.less(sines, NOISE_SINE), tf.zerosLike(slopes), tf.div(slopes, tf.maximum(sines, NOISE_SINE)));
}
