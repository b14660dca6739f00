import { buildIndex, initBackend, searchGallery, searchIndex, type IndexSearchResult } from '@hyperarc/trainer';
import * as tf from '@tensorflow/tfjs-core';

import { MemoryWatch, processBytes, timeOnce, type Sample } from '../measure.js';

/** What a child is asked to do; the same inputs for all methods. */
export interface SearchSpec {
  method: 'blocked' | 'naive' | 'index';
  rows: number;
  probes: number;
  dim: number;
  k: number;
  /** 0: uniform rows; n: rows near a space of n dimensions, such as embeddings of faces have. */
  intrinsic: number;
  /** Of an index; undefined: its defaults. */
  lists?: number;
  recall?: number;
}

/** What it answers, as one line of JSON. */
export interface SearchAnswer {
  backend: string;
  sample: Sample;
  /** VmHWM of the child, the inputs among it. */
  peakBytes: number;
  /** Largest resident memory of its own during the search, less that before it. */
  extraBytes: number;
  /** [probes, k] */
  indices: number[];
  /** Of an index: its making, which is not in `sample`, and what the search left out. */
  index?: { build: Sample } & Omit<IndexSearchResult, 'indices' | 'cosines'>;
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

/**
 * Rows near a random space of `intrinsic` dimensions, with noise in all of them (0.3 times as large as a number of the basis). An index lives on such
 * structure: embeddings of faces in 512 numbers were measured to have 16 intrinsic dimensions (Gong, Boddeti and Jain, CVPR 2019).
 */
function nearSpace(rows: number, dim: number, intrinsic: number, seed: number): Float32Array {
  const basis = uniform(intrinsic * dim, 3);
  const places = uniform(rows * intrinsic, seed + 10);
  const values = uniform(rows * dim, seed);
  for (let row = 0; row < rows; row++) {
    const out = values.subarray(row * dim, (row + 1) * dim);
    for (let d = 0; d < dim; d++) out[d]! *= 0.3;
    for (let axis = 0; axis < intrinsic; axis++) {
      const place = places[row * intrinsic + axis]!;
      for (let d = 0; d < dim; d++) out[d]! += place * basis[axis * dim + d]!;
    }
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

/** Makes an index once, on its own clock; searches with it. */
async function withIndex(spec: SearchSpec, gallery: Float32Array): Promise<[Search, () => SearchAnswer['index']]> {
  const { dim, k, lists, recall } = spec;
  let index: Awaited<ReturnType<typeof buildIndex>>;
  const build = await timeOnce(async () => {
    index = await buildIndex({ valuesND: gallery, dim }, lists === undefined ? {} : { lists });
  });
  let figures: SearchAnswer['index'];
  const search: Search = async (_, probes) => {
    const result = await searchIndex(index, { valuesND: probes, dim }, k, recall === undefined ? {} : { recall });
    const { indices, cosines: _cosines, ...rest } = result;
    figures = { build, ...rest };
    return indices;
  };
  return [search, () => figures];
}

async function measure(spec: SearchSpec): Promise<SearchAnswer> {
  const { rows, dim, intrinsic, probes: count } = spec;
  const info = spec.method === 'naive' ? await initBackend('auto') : undefined;
  const make = (n: number, seed: number) =>
    intrinsic === 0 ? uniform(n * dim, seed) : nearSpace(n, dim, intrinsic, seed);
  const [gallery, probes] = [make(rows, 1), make(count, 2)];
  // Threads and code are there before it counts.
  const plain = (spec.method === 'naive' ? naive : blocked)(spec);
  await plain(gallery.subarray(0, 2048 * dim), probes).catch(() => undefined);
  const memory = await MemoryWatch.begin();
  const timer = setInterval(() => memory.look(), 20);
  const [search, figures] = spec.method === 'index' ? await withIndex(spec, gallery) : [plain, () => undefined];
  let indices: ArrayLike<number> = [];
  const sample = await timeOnce(async () => void (indices = await search(gallery, probes)));
  memory.look();
  clearInterval(timer);
  const index = figures();
  return {
    backend: info === undefined ? 'engine' : `${info.name} ${info.tensorflowVersion ?? ''}`.trim(),
    sample,
    peakBytes: processBytes('VmHWM'),
    extraBytes: memory.takenBytes,
    indices: Array.from(indices),
    ...(index !== undefined && { index }),
  };
}

process.stdout.write(`${JSON.stringify(await measure(JSON.parse(process.argv[2]!) as SearchSpec))}\n`);
