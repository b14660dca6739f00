import { createRequire } from 'node:module';

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';

function hasTensorFlow(): boolean {
  try {
    createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu');
    return true;
  } catch {
    console.warn('tests on the TensorFlow backend are skipped: its binding is not built (scripts/setup-tensorflow)');
    return false;
  }
}

/** tfjs backends of this machine: cpu and wasm always, tensorflow where its binding is built. */
export const backends: readonly string[] = hasTensorFlow() ? ['cpu', 'wasm', 'tensorflow'] : ['cpu', 'wasm'];

export async function useBackend(name: string): Promise<void> {
  if (!(await tf.setBackend(name))) throw new Error(`tfjs backend '${name}' did not start`);
  await tf.ready();
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
