import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import * as tf from '@tensorflow/tfjs-core';

/** Class indices [B]: an int32 tensor, whatever rank its type states, or numbers. */
export type Labels = tf.Tensor | Int32Array | readonly number[];

export function checkShape(name: string, tensor: tf.Tensor, expected: string, isRight: boolean): void {
  if (!isRight)
    throw new HyperArcError('E_SHAPE', `${name}: expected ${expected}, received [${tensor.shape.join(', ')}]`);
}

/** @throws HyperArcError E_DTYPE unless `tensor` is a tensor of float32. */
export function checkFloat(name: string, tensor: tf.Tensor): void {
  if (!(tensor instanceof tf.Tensor)) {
    const received = tensor === null ? 'null' : typeof tensor;
    throw new HyperArcError('E_DTYPE', `${name}: expected a float32 tensor, received ${received}`);
  }
  if (tensor.dtype !== 'float32') {
    throw new HyperArcError('E_DTYPE', `${name}: expected float32, received ${tensor.dtype}; cast it with tf.cast`);
  }
}

export function checkPositiveInteger(name: string, value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1) {
    throw new HyperArcError('E_RANGE', `${name}: expected an integer ≥ 1, received ${String(value)}`);
  }
}

export function checkSeed(seed: unknown): void {
  const isInteger = typeof seed === 'bigint' || Number.isSafeInteger(seed);
  if (!isInteger || BigInt(seed as number) < 0n || BigInt(seed as number) >= 2n ** 64n) {
    throw new HyperArcError('E_RANGE', `seed: expected an integer in [0, 2^64), received ${String(seed)}`);
  }
}

/**
 * Labels as numbers, each checked to lie in [0, classes). A tensor is read back from its device, so on WebGPU, which cannot read
 * synchronously, labels have to come as numbers.
 */
export function readLabels(
  labels: Labels,
  batch: number,
  classes: number,
  fix = "check the dataset's identity count against the head's",
): Int32Array {
  if (labels instanceof tf.Tensor && labels.dtype !== 'int32') {
    throw new HyperArcError('E_DTYPE', `labels: expected int32, received ${labels.dtype}; cast them with tf.cast`);
  }
  const values = labels instanceof tf.Tensor ? labels.dataSync<'int32'>() : labels;
  if (!Array.isArray(values) && !ArrayBuffer.isView(values)) {
    const expected = 'an int32 tensor or an array of numbers';
    throw new HyperArcError('E_DTYPE', `labels: expected ${expected}, received ${typeof values}`);
  }
  if (values.length !== batch) {
    throw new HyperArcError('E_SHAPE', `labels: expected ${batch}, one for each embedding, received ${values.length}`);
  }
  for (let i = 0; i < batch; i++) {
    const label = values[i];
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      const expected = `an integer in [0, ${classes})`;
      throw new HyperArcError('E_RANGE', `labels[${i}]: expected ${expected}, received ${label}; ${fix}`);
    }
  }
  return Int32Array.from(values);
}
