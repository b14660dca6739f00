import * as tf from '@tensorflow/tfjs-core';

/** Elements of the largest intermediate tensor: 64 MiB of float32. */
const CHUNK_ELEMENTS = 2 ** 24;

/**
 * Tensors of all rows, from `work` on [start, start + count) at a time: so few rows that count·elementsPerRow stays within 2²⁴ elements
 * (but one row at least). What `work` returns is concatenated over its first dimension, tensor by tensor.
 */
export function byRows<T extends tf.Tensor[]>(
  rows: number,
  elementsPerRow: number,
  work: (start: number, count: number) => [...T],
): [...T] {
  const size = Math.max(1, Math.floor(CHUNK_ELEMENTS / elementsPerRow));
  const parts: tf.Tensor[][] = [];
  for (let start = 0; start < rows; start += size) {
    parts.push(tf.tidy(() => work(start, Math.min(size, rows - start))));
  }
  if (parts.length === 1) return parts[0] as [...T];
  return parts[0]!.map((_, index) => tf.concat(parts.map((part) => part[index]!))) as [...T];
}
