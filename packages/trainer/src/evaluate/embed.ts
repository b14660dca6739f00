import * as tf from '@tensorflow/tfjs-core';
import { HyperArcError } from '@hyperarc/kernels-cuda';

/** Anything that maps images [B, H, W, 3] in [−1, 1] to embeddings [B, D]: a tf.LayersModel, or a wrapped function. */
export interface EmbeddingModel {
  predict(images: tf.Tensor4D): tf.Tensor | tf.Tensor[];
}

/** Decoded images, [N, imageSize, imageSize, 3] in [−1, 1], in the order of `paths`. */
export type ImageLoader = (paths: readonly string[], imageSize: number) => Promise<Float32Array>;

/** Those of some images that could be decoded: their names, and pixels as {@link ImageLoader} answers them. */
export interface LoadedImages {
  readonly pixels: Float32Array;
  readonly names: readonly string[];
}

/** One embedding a row: [N, D], of unit length unless that was not wanted. */
export interface Embeddings {
  paths: readonly string[];
  valuesND: Float32Array;
  dim: number;
}

/** Embeddings as the model answered them, before their lengths were taken out. */
export interface EmbeddedImages extends Embeddings {
  /** [N] length of each image's embedding; with `flip` the mean of it and of the mirrored image's. */
  normsN: Float32Array;
}

export interface EmbedOptions {
  imageSize: number;
  /** Images that it leaves out have no row. */
  load: (paths: readonly string[], imageSize: number) => Promise<Float32Array | LoadedImages>;
  /** Images of one forward pass. Default 64. */
  batchSize?: number;
  /** Adds the embedding of the mirrored image before normalising, as InsightFace evaluates. Default true. */
  flip?: boolean;
  /** Scales the embeddings to unit length. Default true. */
  normalize?: boolean;
  /** Called after every batch. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * Embeddings of image files, scaled to unit length. Takes 4·N·D bytes.
 * @throws HyperArcError E_SHAPE if the model does not answer [B, D]; E_NONFINITE for NaN or Inf, and E_RANGE for a zero vector that is to be
 *   scaled, naming the image.
 */
export async function embedImages(
  model: EmbeddingModel,
  paths: readonly string[],
  options: EmbedOptions,
): Promise<EmbeddedImages> {
  const { imageSize, load, batchSize = 64, flip = true, normalize = true, onProgress } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new HyperArcError('E_RANGE', `batchSize: expected a whole number ≥ 1, received ${batchSize}`);
  }
  let valuesND = new Float32Array(0);
  const normsN = new Float32Array(paths.length);
  const named: string[] = [];
  let dim = 0;
  for (let first = 0; first < paths.length; first += batchSize) {
    const asked = paths.slice(first, first + batchSize);
    const loaded = await load(asked, imageSize);
    const { pixels, names: batch } = loaded instanceof Float32Array ? { pixels: loaded, names: asked } : loaded;
    const row = named.length;
    for (const name of batch) named.push(name);
    if (batch.length === 0) {
      onProgress?.(first + asked.length, paths.length);
      continue;
    }
    const [embeddingsBD, normsB] = tf.tidy(() => {
      const images = tf.tensor4d(pixels, [batch.length, imageSize, imageSize, 3]);
      const plain = predict(model, images);
      const plainNorms = tf.norm(plain, 2, 1);
      if (!flip) return [plain, plainNorms] as const;
      const mirrored = predict(model, tf.reverse(images, 2));
      return [tf.add(plain, mirrored), tf.div(tf.add(plainNorms, tf.norm(mirrored, 2, 1)), 2)] as const;
    });
    const values = (await embeddingsBD.data()) as Float32Array;
    normsN.set((await normsB.data()) as Float32Array, row);
    tf.dispose([embeddingsBD, normsB]);
    if (row === 0) {
      dim = values.length / batch.length;
      valuesND = new Float32Array(paths.length * dim);
    }
    valuesND.set(values, row * dim);
    // Batch by batch: what is wrong is said at once.
    const rowsBD = valuesND.subarray(row * dim, named.length * dim);
    if (normalize) normalizeRows(rowsBD, dim, batch);
    else batch.forEach((name, n) => squaredLength(rowsBD.subarray(n * dim, (n + 1) * dim), name));
    onProgress?.(first + asked.length, paths.length);
  }
  const rows = named.length;
  return { paths: named, valuesND: valuesND.subarray(0, rows * dim), dim, normsN: normsN.subarray(0, rows) };
}

function predict(model: EmbeddingModel, images: tf.Tensor4D): tf.Tensor2D {
  const answer = model.predict(images);
  if (Array.isArray(answer) || answer.rank !== 2 || answer.shape[0] !== images.shape[0]) {
    const shape = Array.isArray(answer) ? `${answer.length} tensors` : `[${answer.shape.join(', ')}]`;
    throw new HyperArcError('E_SHAPE', `model.predict: expected embeddings [${images.shape[0]}, D], received ${shape}`);
  }
  return answer as tf.Tensor2D;
}

/** Scales each row of [N, D] to length 1 in place. `names` [N] are for the message. */
export function normalizeRows(valuesND: Float32Array, dim: number, names: readonly string[]): void {
  names.forEach((name, n) => {
    const row = valuesND.subarray(n * dim, (n + 1) * dim);
    const norm = Math.sqrt(squaredLength(row, name));
    if (norm < 1e-12) {
      throw new HyperArcError('E_RANGE', `embedding of ${name}: expected a length above 1e-12, received ${norm}`);
    }
    for (let d = 0; d < dim; d++) row[d]! /= norm;
  });
}

/** @throws HyperArcError E_NONFINITE for NaN or Inf, by the name. */
function squaredLength(row: Float32Array, name: string): number {
  let squared = 0;
  for (const value of row) squared += value * value;
  if (!Number.isFinite(squared)) {
    throw new HyperArcError(
      'E_NONFINITE',
      `embedding of ${name}: expected finite numbers, received NaN or Inf; the weights may have diverged`,
    );
  }
  return squared;
}

/** The baseline that any model must beat: the pixels themselves, flattened, are the embedding. */
export const rawPixelModel: EmbeddingModel = {
  predict: (images) => tf.reshape(images, [images.shape[0], -1]),
};
