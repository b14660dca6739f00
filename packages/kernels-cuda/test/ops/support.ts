import { createRequire } from 'node:module';
import util from 'node:util';

import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';

import type { ClassCenters, DeviceSpec } from '../../dist/index.js';
import { openDevice } from '../../dist/index.js';
import { forward, type ReferenceBatch } from '../../dist/reference/index.js';

export const rule = { scale: 32, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' } as const;

/** Registers tfjs-node's backend when it is installed and set up here; this package does not depend on it. */
function loadTensorFlow(): boolean {
  const legacy = util as unknown as Record<string, unknown>;
  legacy['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  legacy['isArray'] ??= Array.isArray;
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  try {
    createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu');
    return true;
  } catch (error) {
    console.warn(`SKIPPED on TensorFlow, which does not load (scripts/setup-tensorflow): ${(error as Error).message}`);
    return false;
  }
}

export const hasTensorFlow = loadTensorFlow();
export const BACKENDS = ['cpu', 'wasm', ...(hasTensorFlow ? ['tensorflow'] : [])];

/** The engine under test: the CPU's, or another one that the environment names (docs/testing-cuda.md). */
const testDevice = (process.env['HYPERARC_TEST_DEVICE'] ?? 'cpu') as DeviceSpec;

/** Deterministic values, roughly normal. */
export function normal(count: number, seed: number): Float32Array {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Float32Array.from({ length: count }, () => uniform() + uniform() + uniform() - 1.5);
}

export interface Problem {
  centers: ClassCenters;
  embeddings: Float32Array;
  labels: Int32Array;
  batch: number;
  dim: number;
  classes: number;
}

/** Centres and a batch with a planted near match, a far match (θ + m > π) and a repeated label. */
export function makeProblem(batch = 9, dim = 19, classes = 37, device = testDevice): Problem {
  const centers = openDevice(device).createCenters({ classes, dim });
  const weights = normal(classes * dim, 11);
  centers.writeRows(0, weights);
  const embeddings = normal(batch * dim, 12);
  const labels = Int32Array.from({ length: batch }, (_, i) => (i === batch - 1 ? 0 : (7 * i) % classes));
  const center = (label: number) => weights.subarray(label * dim, (label + 1) * dim);
  embeddings.set(
    center(labels[1]!).map((value, d) => 3 * value + 0.01 * (d % 3)),
    dim,
  );
  embeddings.set(
    center(labels[2]!).map((value, d) => -value + 0.05 * (d % 2)),
    2 * dim,
  );
  return { centers, embeddings, labels, batch, dim, classes };
}

/** The float64 reference's forward pass of the same problem. */
export function referenceOf(problem: Problem, extra: Partial<ReferenceBatch> = {}, sampled?: Int32Array) {
  const { centers, embeddings, labels, dim, classes } = problem;
  const weights = centers.readRows(0, classes);
  const shard = { classes, subCenters: 1, dim, firstClass: 0, weights };
  return forward([shard], { embeddings, labels, rule, ...extra }, [sampled]);
}

/** ‖actual − expected‖ / ‖expected‖ */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < expected.length; ++i) {
    difference += (actual[i]! - expected[i]!) ** 2;
    size += expected[i]! ** 2;
  }
  return Math.sqrt(difference / size);
}
