import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { arcFaceTemplate, similarityTransform, type Point } from '../../data/align/similarity.js';
import { decodeWhole, warpAffine } from '../../data/align/warp.js';
import { PIXEL_TO_UNIT } from '../../data/loadImages.js';
import type { EmbeddingModel } from '../embed.js';
import type { ImageFeatures } from '../files/featureFile.js';
import type { IjbFaces } from './lists.js';

export interface EmbedFacesOptions {
  /** Pixels a side that the model takes. */
  readonly imageSize: number;
  /** Folder of the images. */
  readonly images: string;
  /** Images of one forward pass. Default 64. */
  readonly batchSize?: number;
  /** Embed the mirrored images too. Default true. */
  readonly flip?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Embeds the faces of the list: each image is decoded, aligned to the ArcFace template by its five landmarks, and given to the model in [−1, 1], as it
 * is and mirrored. Lengths are kept. While the model computes, the next batch is decoded. Takes 4·N·D bytes, twice with mirroring.
 *
 * @throws HyperArcError E_FORMAT naming an image that cannot be decoded, E_RANGE one whose landmarks are in one place, E_SHAPE if the model
 * does not answer [B, D].
 */
export async function embedFaces(
  model: EmbeddingModel,
  faces: IjbFaces,
  options: EmbedFacesOptions,
): Promise<ImageFeatures> {
  const { batchSize = 64, flip = true, onProgress } = options;
  const total = faces.names.length;
  const matrices: Float32Array[] = [];
  let dim = 0;
  let ahead: Promise<Float32Array> | undefined = loadAligned(faces, 0, batchSize, options);
  for (let first = 0; ahead !== undefined; first += batchSize) {
    const pixels: Float32Array = await ahead;
    const after = first + batchSize;
    ahead = after < total ? loadAligned(faces, after, batchSize, options) : undefined;
    // It is awaited in the next round; a failure must not count as unhandled until then.
    ahead?.catch(() => undefined);
    const answers = await embedBatch(model, pixels, options.imageSize, flip);
    const images = pixels.length / (options.imageSize ** 2 * 3);
    dim ||= answers[0]!.length / images;
    answers.forEach((values, m) => {
      matrices[m] ??= new Float32Array(total * dim);
      matrices[m].set(values, first * dim);
    });
    onProgress?.(first + images, total);
  }
  const [plain, mirrored] = matrices;
  return {
    plain: { valuesND: plain!, dim },
    ...(mirrored && { mirrored: { valuesND: mirrored, dim } }),
  };
}

/** Pixels [n, size, size, 3] in [−1, 1] of the images from `first` on. */
async function loadAligned(
  faces: IjbFaces,
  first: number,
  count: number,
  { images, imageSize }: EmbedFacesOptions,
): Promise<Float32Array> {
  const names = faces.names.slice(first, first + count);
  const target = arcFaceTemplate(imageSize);
  const imageValues = imageSize * imageSize * 3;
  const pixels = new Float32Array(names.length * imageValues);
  const load = async (name: string, i: number): Promise<void> => {
    const path = join(images, name);
    const image = await decodeWhole(path);
    const bytes = warpAffine(image, similarityTransform(landmarksOf(faces, first + i, path), target), imageSize);
    for (let p = 0; p < imageValues; p++) pixels[i * imageValues + p] = PIXEL_TO_UNIT[bytes[p]!]!;
  };
  // All settle before the first error (in the order of the list) is thrown: no decoding goes on behind the caller.
  for (const result of await Promise.allSettled(names.map(load))) if (result.status === 'rejected') throw result.reason;
  return pixels;
}

/** @throws HyperArcError E_RANGE naming the image */
function landmarksOf({ landmarks }: IjbFaces, image: number, path: string): Point[] {
  const points = Array.from({ length: 5 }, (_, i): Point => [
    landmarks[10 * image + 2 * i]!,
    landmarks[10 * image + 2 * i + 1]!,
  ]);
  if (points.every(([x, y]) => x === points[0]![0] && y === points[0]![1])) {
    throw new HyperArcError(
      'E_RANGE',
      `${path}: expected five landmarks in different places, received one place; mend its line of the landmarks`,
    );
  }
  return points;
}

/** Embeddings [n, D] of the images and, with `flip`, of the mirrored ones. */
async function embedBatch(
  model: EmbeddingModel,
  pixels: Float32Array,
  size: number,
  flip: boolean,
): Promise<Float32Array[]> {
  const count = pixels.length / (size * size * 3);
  const answers = tf.tidy(() => {
    const images = tf.tensor4d(pixels, [count, size, size, 3]);
    return [images, ...(flip ? [tf.reverse(images, 2)] : [])].map((side) => checkAnswer(model.predict(side), count));
  });
  try {
    return await Promise.all(answers.map((answer) => answer.data<'float32'>()));
  } finally {
    tf.dispose(answers);
  }
}

function checkAnswer(answer: tf.Tensor | tf.Tensor[], count: number): tf.Tensor {
  if (!Array.isArray(answer) && answer.rank === 2 && answer.shape[0] === count) return answer;
  const shape = Array.isArray(answer) ? `${answer.length} tensors` : `[${answer.shape.join(', ')}]`;
  throw new HyperArcError('E_SHAPE', `model.predict: expected embeddings [${count}, D], received ${shape}`);
}
