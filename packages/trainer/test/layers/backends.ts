import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';

import { backendStatus, initBackend } from '../../dist/backend/index.js';

const status = backendStatus();
if (status.name !== 'tensorflow') console.warn(`tests on the TensorFlow backend are skipped: ${status.reason}`);

/** tfjs backends of this machine: cpu and wasm always, tensorflow where its binding is built. The last is the fastest. */
export const backends: readonly ('cpu' | 'wasm' | 'tensorflow')[] =
  status.name === 'tensorflow' ? ['cpu', 'wasm', 'tensorflow'] : ['cpu', 'wasm'];

/** @returns whether convolutions can be trained on it; on wasm that takes HyperArc's addon. */
export async function useBackend(name: (typeof backends)[number]): Promise<boolean> {
  const info = await initBackend(name);
  await tf.ready();
  return info.cannotTrain === undefined;
}

/** Reproducible values of (−1, 1): the same on every backend. */
export function values(size: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 1;
  return Float32Array.from({ length: size }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return ((state >>> 0) / 2 ** 32) * 2 - 1;
  });
}

/** ‖a − b‖/‖b‖, b the reference. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`lengths differ: ${actual.length}, ${expected.length}`);
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(difference / Math.max(norm, Number.MIN_VALUE));
}
