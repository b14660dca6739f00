import type * as tf from '@tensorflow/tfjs-core';
import { checkNumber } from '../specs/check-options.js';
import { centersOf, readEmbeddings, samplesOfBlock, type HeadWithCenters } from './center-source.js';

/** For each sample its k nearest classes, nearest first. */
export interface NearestCenters {
  /** [B, k], row by row: class indices */
  readonly indices: Int32Array;
  /** [B, k], row by row: cosines to those classes, in descending order */
  readonly cosines: Float32Array;
}

/** For each sample its nearest class. */
export interface Classification {
  /** [B] class indices */
  readonly classes: Int32Array;
  /** [B] cosines to those classes */
  readonly cosines: Float32Array;
}

/**
 * The k class centres of largest cosine to each embedding; with K > 1 a class's cosine is the best of its sub-centres. Ties go to the
 * lowest class. A zero embedding has cosine 0 to every class.
 *
 * The batch is worked in blocks, so that at most 64 MiB of cosines exist at a time (or the C cosines of one sample, K times as many in
 * tfjs), besides B·k results; tfjs also makes unit copies of its centres. On a shard of the classes, indices are global.
 *
 * @param head a `MarginHead`, a `PartialFC`, or any `{ centers }`
 * @param embeddings float32 [B, D], finite, of any length
 * @param k in [1, C]
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE, E_NONFINITE, E_DISPOSED; E_MEMORY from the engine.
 */
export async function nearestCenters(head: HeadWithCenters, embeddings: tf.Tensor, k: number): Promise<NearestCenters> {
  const source = centersOf(head);
  const { classes, dim, firstClass } = source;
  checkNumber('k', k, { low: 1, high: classes, integer: true });
  const points = await readEmbeddings(embeddings, dim);
  const batch = points.length / dim;
  const indices = new Int32Array(batch * k);
  const cosines = new Float32Array(batch * k);
  const block = samplesOfBlock(source.cosineColumns);
  for (let start = 0; start < batch; start += block) {
    const end = Math.min(batch, start + block);
    const all = await source.cosines(points.slice(start * dim, end * dim));
    for (let i = start; i < end; i++) {
      const ofSample = all.subarray((i - start) * classes, (i - start + 1) * classes);
      selectLargest(ofSample, indices.subarray(i * k, (i + 1) * k), cosines.subarray(i * k, (i + 1) * k));
    }
  }
  if (firstClass > 0) for (let e = 0; e < indices.length; e++) indices[e]! += firstClass;
  return { indices, cosines };
}

/**
 * The class of largest cosine to each embedding: {@link nearestCenters} with k = 1.
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_NONFINITE, E_DISPOSED; E_MEMORY from the engine.
 */
export async function classify(head: HeadWithCenters, embeddings: tf.Tensor): Promise<Classification> {
  const { indices, cosines } = await nearestCenters(head, embeddings, 1);
  return { classes: indices, cosines };
}

/** Fills `indices` and `largest` [k] with the k largest of `values`, in descending order, equal ones by ascending index. */
function selectLargest(values: Float32Array, indices: Int32Array, largest: Float32Array): void {
  const k = indices.length;
  let filled = 0;
  for (let j = 0; j < values.length; j++) {
    const value = values[j]!;
    if (filled === k && !(value > largest[k - 1]!)) continue;
    // Behind everything that is as large: those have lower indices.
    let [low, high] = [0, filled];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (largest[middle]! >= value) low = middle + 1;
      else high = middle;
    }
    if (filled < k) filled += 1;
    indices.copyWithin(low + 1, low, filled - 1);
    largest.copyWithin(low + 1, low, filled - 1);
    indices[low] = j;
    largest[low] = value;
  }
}
