import * as tf from '@tensorflow/tfjs-core';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** What an export's embeddings may differ by, of the largest value (or of 1, where all are below). */
export const EXPORT_TOLERANCE = 1e-4;
/** More than one, so that the open batch is tried too. */
const CHECK_IMAGES = 2;

/** What was compared, and how far apart the embeddings were. */
export interface ExportCheck {
  /** What computed the exported model's embeddings. */
  readonly by: string;
  readonly largestDifference: number;
  /** Largest absolute value of an embedding. */
  readonly largestValue: number;
  readonly images: number;
}

/** Images [2, H, W, 3] of noise in [−1, 1), always the same. */
export function checkImages([height, width]: readonly [number, number]): tf.Tensor4D {
  const random = xoroshiro128plus(1);
  const values = Float32Array.from({ length: CHECK_IMAGES * height * width * 3 }, () => random.next() / 2 ** 31);
  return tf.tensor4d(values, [CHECK_IMAGES, height, width, 3]);
}

/**
 * Compares the embeddings [N, D] of an exported model with those of its source.
 * @throws HyperArcError E_RANGE if they are farther apart than {@link EXPORT_TOLERANCE}; E_SHAPE if there are more or fewer values;
 *   E_NONFINITE if the source's are not finite.
 */
export function checkEmbeddings(by: string, expected: ArrayLike<number>, received: ArrayLike<number>): ExportCheck {
  if (received.length !== expected.length) {
    throw new HyperArcError(
      'E_SHAPE',
      `${by}: expected ${expected.length} values of embeddings, received ${received.length}`,
    );
  }
  let [largestDifference, largestValue] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(expected[i]!)) {
      throw new HyperArcError(
        'E_NONFINITE',
        'model: expected finite embeddings, received NaN or Inf; the weights may have diverged',
      );
    }
    const difference = Math.abs(received[i]! - expected[i]!);
    // NaN is no small difference.
    largestDifference = Number.isNaN(difference) ? Infinity : Math.max(largestDifference, difference);
    largestValue = Math.max(largestValue, Math.abs(expected[i]!));
  }
  const allowed = EXPORT_TOLERANCE * Math.max(1, largestValue);
  if (largestDifference > allowed) {
    throw new HyperArcError(
      'E_RANGE',
      `${by}: expected embeddings within ${allowed.toExponential(1)} of the model's, received a difference of ${largestDifference.toExponential(1)}; nothing was written`,
    );
  }
  return { by, largestDifference, largestValue, images: CHECK_IMAGES };
}

/** `checked by BY: largest difference 3.6e-7 of values up to 1.94, 2 images`. */
export function formatCheck({ by, largestDifference, largestValue, images }: ExportCheck): string {
  const difference = largestDifference === 0 ? '0' : largestDifference.toExponential(1);
  return `checked by ${by}: largest difference ${difference} of values up to ${largestValue.toPrecision(3)}, ${images} images`;
}
