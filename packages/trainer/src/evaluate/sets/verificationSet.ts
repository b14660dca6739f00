import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { decodeImage } from '../../data/decodeImage.js';
import { PIXEL_TO_UNIT } from '../../data/loadImages.js';
import type { ImagePair } from '../../data/pairs.js';
import { checkFolds, contiguousFolds } from '../../data/folds.js';
import { readVerificationBin } from './verificationBin.js';

/** A verification set in memory, its images still encoded. */
export interface VerificationSet {
  /** The file's name without its ending: `lfw` of lfw.bin. */
  readonly name: string;
  readonly path: string;
  /** Images are `lfw/12`, the number counting from 0 in the file; one that comes again has the number it had first. */
  readonly pairs: readonly ImagePair[];
  /** The encoded image of such a name; undefined if there is none. */
  image(name: string): Uint8Array | undefined;
  /**
   * Images by their names: [N, imageSize, imageSize, 3] in [−1, 1].
   * @throws HyperArcError E_FORMAT naming a damaged image; E_RANGE for a name that is none.
   */
  load(names: readonly string[], imageSize: number): Promise<Float32Array>;
}

/**
 * Opens a verification set of InsightFace's form. Its folds are those of InsightFace: unshuffled, of equal size.
 * @param folds Default 10; none: whoever asks judges without folds, and all pairs are in fold 0.
 * @throws HyperArcError E_FORMAT as `readVerificationBin`; E_RANGE for a fold with one kind of pair only.
 */
export function openVerificationSet(path: string, { folds = 10 }: { folds?: number | 'none' } = {}): VerificationSet {
  const { images, same } = readVerificationBin(path);
  const name = basename(path).replace(/\.bin$/, '');
  const foldOf = contiguousFolds(same.length, folds === 'none' ? 1 : folds);
  try {
    if (folds !== 'none') checkFolds(same, foldOf);
  } catch (error) {
    if (!(error instanceof HyperArcError)) throw error;
    const message = error.message.slice(`${error.code}: `.length);
    throw new HyperArcError(error.code, `${path}: ${folds} folds of ${same.length} pairs: ${message}`, {
      cause: error,
    });
  }
  const first = firstOfEqual(images);
  const nameOf = (index: number): string => `${name}/${first[index]}`;
  const image = (of: string): Uint8Array | undefined => images[Number(of.slice(name.length + 1))];
  return {
    name,
    path,
    pairs: same.map((isSame, i) => ({ a: nameOf(2 * i), b: nameOf(2 * i + 1), same: isSame, fold: foldOf[i]! })),
    image,
    async load(names, imageSize) {
      const values = imageSize * imageSize * 3;
      const pixels = new Float32Array(names.length * values);
      const decode = async (of: string, n: number): Promise<void> => {
        const encoded = image(of);
        if (encoded === undefined) {
          throw new HyperArcError('E_RANGE', `${path}: expected names of its ${images.length} images, received ${of}`);
        }
        const bytes = await decodeImage(encoded, imageSize, `${path}: image ${of.slice(name.length + 1)}`);
        for (let i = 0; i < values; i++) pixels[n * values + i] = PIXEL_TO_UNIT[bytes[i]!]!;
      };
      // All settle before the first error is thrown: no decoding goes on behind the caller.
      const results = await Promise.allSettled(names.map(decode));
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      return pixels;
    },
  };
}

/** Index of the first file with the same bytes. The official sets repeat images: LFW's 12,000 are 7,701. */
function firstOfEqual(images: readonly Uint8Array[]): number[] {
  const seen = new Map<string, number>();
  return images.map((bytes, i) => {
    const digest = createHash('sha256').update(bytes).digest('base64');
    const first = seen.get(digest) ?? i;
    seen.set(digest, first);
    return first;
  });
}

/** Images decoded at a time. */
const CHECK_BATCH = 64;

/**
 * Opens several sets and decodes every image once, so that a damaged one is found now.
 * @throws HyperArcError E_RANGE for two sets of one name; E_FORMAT naming the file and the image; as {@link openVerificationSet}.
 */
export async function openCheckedSets(
  paths: readonly string[],
  options: { folds?: number; imageSize: number },
): Promise<VerificationSet[]> {
  const sets = openVerificationSets(paths, options);
  for (const { pairs, load } of sets) {
    const names = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))];
    for (let i = 0; i < names.length; i += CHECK_BATCH) await load(names.slice(i, i + CHECK_BATCH), options.imageSize);
  }
  return sets;
}

/** Several sets, each of its own name. Errors: as {@link openVerificationSet}; E_RANGE for two of one name. */
export function openVerificationSets(paths: readonly string[], options: { folds?: number } = {}): VerificationSet[] {
  const names = new Map<string, string>();
  for (const path of paths) {
    const name = basename(path).replace(/\.bin$/, '');
    const other = names.get(name);
    if (other !== undefined) {
      throw new HyperArcError(
        'E_RANGE',
        `sets: expected files of different names, received ${other} and ${path}; figures go by name: rename one`,
      );
    }
    names.set(name, path);
  }
  return paths.map((path) => openVerificationSet(path, options));
}
