import * as tf from '@tensorflow/tfjs-core';
import type { MarginSpec } from './specs.js';

/** ε of the 'clip' fallback, radians. */
const CLIP_RADIANS = 1e-4;

/** Below this sine the direction from an embedding to its centre is rounding noise of fp32 data. */
const NOISE_SINE = 1e-6;

/** Target logits and their slopes, in the shape of the cosines that they came from. */
export interface TargetLogits {
  /** T = s·(A(θ) − m3) */
  readonly logits: tf.Tensor;
  /** h = dT/dcosθ·sinθ, finite also where dT/dcosθ is not */
  readonly slopes: tf.Tensor;
}

/**
 * T and h of angles whose cosines and sines are given (docs/numerics.md, "Target logit"). Plain tfjs ops; not meant to be
 * differentiated through.
 */
export function targetLogits(cosines: tf.Tensor, sines: tf.Tensor, spec: MarginSpec): TargetLogits {
  const { scale, m1, m2, m3, fallback, gradient } = spec;
  const scaled = (values: tf.Tensor, slopes: tf.Tensor): TargetLogits => ({
    logits: tf.mul(tf.sub(values, m3), scale),
    slopes: tf.mul(gradient === 'straight-through' ? sines : slopes, scale),
  });
  if (m1 === 1 && m2 === 0 && fallback !== 'clip') return scaled(cosines, sines);

  const phi = tf.add(tf.mul(tf.atan2(sines, cosines), m1), m2);
  const values = tf.cos(phi);
  const slopes = tf.mul(tf.sin(phi), m1);
  switch (fallback) {
    case 'none':
      return scaled(values, slopes);
    case 'easy': {
      const isAcute = tf.greater(cosines, 0);
      return scaled(tf.where(isAcute, values, cosines), tf.where(isAcute, slopes, sines));
    }
    case 'clip': {
      const clamped = tf.clipByValue(phi, CLIP_RADIANS, Math.PI - CLIP_RADIANS);
      return scaled(tf.cos(clamped), tf.where(tf.equal(clamped, phi), slopes, tf.zerosLike(slopes)));
    }
    case 'hard': {
      const bound = (Math.PI - m2) / m1;
      if (bound >= Math.PI) return scaled(values, slopes);
      const isWithin = tf.lessEqual(phi, Math.PI);
      const beyond = tf.sub(cosines, (Math.PI - bound) * Math.sin(bound));
      return scaled(tf.where(isWithin, values, beyond), tf.where(isWithin, slopes, sines));
    }
  }
}

/** dT/dcosθ = h/sinθ, and 0 where the direction of that derivative is noise. */
export function derivativesOf(slopes: tf.Tensor, sines: tf.Tensor): tf.Tensor {
  return tf.where(tf.less(sines, NOISE_SINE), tf.zerosLike(slopes), tf.div(slopes, tf.maximum(sines, NOISE_SINE)));
}
