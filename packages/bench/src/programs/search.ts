import { initBackend, searchGallery } from '@hyperarc/trainer';
import * as tf from '@tensorflow/tfjs-core';

import { MemoryWatch, processBytes, timeOnce, type Sample } from '../measure.js';

/** What a child is asked to do; the same inputs for both methods. */
export interface SearchSpec {
  method: 'blocked' | 'naive';
  rows: number;
  probes: number;
  dim: number;
  k: number;
  iterations: number;
}

/** What it answers, as one line of JSON. */
export interface SearchAnswer {
  backend: string;
  samples: Sample[];
  /** VmHWM of the child, the inputs among it. */
  peakBytes: number;
  /** Largest resident memory of its own during the search, less that before it. */
  extraBytes: number;
  /** [probes, k] */
  indices: number[];
}

/** Uniform numbers in (−0.5, 0.5) from a seed (xorshift32): a gallery of a million rows in seconds. */
function uniform(length: number, seed: number): Float32Array {
  const values = new Float32Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = (state >>> 0) / 2 ** 32 - 0.5;
  }
  return values;
}

type Search = (gallery: Float32Array, probes: Float32Array) => Promise<ArrayLike<number>>;

/** All cosines at once, then top k: the gallery as a tensor, scaled to unit rows, and [probes, rows] of float32. */
const naive =
  ({ rows, probes: count, dim, k }: SearchSpec): Search =>
  async (gallery, probes) => {
    const indices = tf.tidy(() => {
      const unit = (values: Float32Array, n: number) => {
        const rowsND = tf.tensor2d(values, [n, dim]);
        return tf.div(rowsND, tf.norm(rowsND, 2, 1, true));
      };
      return tf.topk(tf.matMul(unit(probes, count), unit(gallery, rows), false, true), k).indices;
    });
    const found = await indices.data();
    indices.dispose();
    return found;
  };

const blocked =
  ({ dim, k }: SearchSpec): Search =>
  async (gallery, probes) =>
    (await searchGallery({ valuesND: gallery, dim }, { valuesND: probes, dim }, k)).indices;

async function measure(spec: SearchSpec): Promise<SearchAnswer> {
  const info = spec.method === 'naive' ? await initBackend('auto') : undefined;
  const search = (spec.method === 'naive' ? naive : blocked)(spec);
  const gallery = uniform(spec.rows * spec.dim, 1);
  const probes = uniform(spec.probes * spec.dim, 2);
  // Threads and code are there before it counts.
  await search(gallery.subarray(0, 2048 * spec.dim), probes).catch(() => undefined);
  const memory = await MemoryWatch.begin();
  const timer = setInterval(() => memory.look(), 20);
  const samples: Sample[] = [];
  let indices: ArrayLike<number> = [];
  for (let i = 0; i < spec.iterations; i++) {
    samples.push(await timeOnce(async () => void (indices = await search(gallery, probes))));
    memory.look();
  }
  clearInterval(timer);
  const peakBytes = processBytes('VmHWM');
  const backend = info === undefined ? 'engine' : `${info.name} ${info.tensorflowVersion ?? ''}`.trim();
  return { backend, samples, peakBytes, extraBytes: memory.takenBytes, indices: Array.from(indices) };
}

process.stdout.write(`${JSON.stringify(await measure(JSON.parse(process.argv[2]!) as SearchSpec))}\n`);
