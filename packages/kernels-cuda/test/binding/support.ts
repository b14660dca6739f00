import { expect } from 'vitest';

import { HyperArcError, type BatchOptions, type DeviceSpec, type MarginRule } from '../../dist/index.js';

/** The device that these tests run on: HYPERARC_TEST_DEVICE, 'cpu' by default. */
export const testDevice = (process.env['HYPERARC_TEST_DEVICE'] ?? 'cpu') as DeviceSpec;
export const isCpu = testDevice === 'cpu';

export const margin: MarginRule = { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' };
export const sgd = { learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4 };

/** A fixed pseudo-random sequence in [-1, 1): mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

export function makeBatch(
  shape: { batch: number; dim: number; classes: number },
  seed = 1,
): Pick<BatchOptions, 'embeddings' | 'labels' | 'margin'> {
  const random = randomNumbers(seed);
  return {
    embeddings: Float32Array.from({ length: shape.batch * shape.dim }, random),
    labels: Int32Array.from({ length: shape.batch }, () => Math.floor(((random() + 1) / 2) * shape.classes)),
    margin,
  };
}

/** The bits of an array: NaN-proof, and -0 differs from 0. */
export function bits(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

/** Expects `call` to throw (or reject with) a HyperArcError of this code, whose message matches. */
export async function expectError(
  call: () => unknown,
  code: string,
  message: RegExp = /expected .*received /,
): Promise<void> {
  let result: unknown;
  try {
    result = await call();
  } catch (error) {
    expect(error).toBeInstanceOf(HyperArcError);
    expect((error as HyperArcError).message).toMatch(message);
    expect((error as HyperArcError).code, (error as HyperArcError).message).toBe(code);
    return;
  }
  expect.fail(`expected ${code}, got ${String(result)}`);
}
