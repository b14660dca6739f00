import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import * as tf from '@tensorflow/tfjs-core';
import { checkShape } from '../checks.js';
import { rowNorms } from '../unit-rows.js';
import type { AdapterBatch } from './runtime.js';

/**
 * ‖x‖ of each embedding of the batch [B, 1], differentiable with respect to the embeddings, 0 for zero rows.
 * @throws HyperArcError E_RANGE for a batch that has neither norms nor embeddings, E_SHAPE for embeddings that are not [B, D].
 */
export function normsOf({ norms, embeddings }: AdapterBatch): tf.Tensor2D {
  if (norms) return norms;
  if (embeddings) {
    checkShape('embeddings', embeddings, '[B, D]', embeddings.rank === 2);
    return rowNorms(embeddings as tf.Tensor2D);
  }
  const expected = 'embeddings or their norms: this margin follows the length of each embedding';
  throw new HyperArcError('E_RANGE', `norms: expected ${expected}, received neither`);
}

/**
 * The norms as numbers [B]. Read back from the device: WebGPU cannot do that synchronously.
 * @throws HyperArcError E_NONFINITE naming the row: a running mean must not take it in; E_RANGE as {@link normsOf}.
 */
export function readNorms(batch: AdapterBatch): Float32Array {
  const norms = tf.tidy(() => normsOf(batch).dataSync<'float32'>());
  checkFinite('embeddings', norms);
  return norms;
}

/**
 * Refuses norms that are not finite. What a margin makes of them would be refused too, but as a number out of its range that nobody
 * gave. WebGPU cannot read back synchronously: there such a batch has a loss that is not finite.
 * @throws HyperArcError E_NONFINITE naming the row; E_RANGE as {@link normsOf}.
 */
export function checkNorms(batch: AdapterBatch): void {
  if (tf.getBackend() !== 'webgpu') readNorms(batch);
}

/** Numbers of an array, or of a tensor read back from its device. */
export function numbersOf(values: ArrayLike<number> | tf.Tensor): number[] {
  return Array.from(values instanceof tf.Tensor ? values.dataSync() : values);
}

/** @throws HyperArcError E_NONFINITE naming the first row whose number is not finite. */
export function checkFinite(name: string, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new HyperArcError('E_NONFINITE', `${name}: expected finite numbers, received ${values[i]} from row ${i}`);
  }
}

/** `norms` held within [lower, upper], and the derivative of that: 1 within, ends included, 0 outside. */
export function clampNorms(
  norms: tf.Tensor2D,
  lower: number,
  upper: number,
): Record<'clamped' | 'inside', tf.Tensor2D> {
  const clamped: tf.Tensor2D = tf.clipByValue(norms, lower, upper);
  return { clamped, inside: tf.cast(tf.equal(clamped, norms), 'float32') as tf.Tensor2D };
}
