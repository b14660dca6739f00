import { join } from 'node:path';
import { DecodePool, type DecodeFailure } from './decodePool.js';
import { fileLocation, type ImageLocation } from './location.js';

/** Scales bytes 0…255 to [−1, 1]: (x/255 − 0.5)/0.5. */
export const PIXEL_TO_UNIT: Float32Array = Float32Array.from({ length: 256 }, (_, value) => (value / 255 - 0.5) / 0.5);

/** Loads images for evaluation on its own threads; close it when done. */
export interface ImageLoader {
  /**
   * @param paths Relative to the loader's root, or what its `locate` takes.
   * @returns Float32Array [paths, imageSize, imageSize, 3] in [−1, 1], in the order of `paths`.
   * @throws HyperArcError E_FORMAT naming the first bad file.
   */
  load(paths: readonly string[], imageSize: number): Promise<Float32Array>;
  /**
   * As `load`, but for images that cannot be decoded.
   * @returns `pixels` [paths − failures, imageSize, imageSize, 3] in [−1, 1], in the order of `paths`, and what failed, by its place in them.
   */
  loadGood(paths: readonly string[], imageSize: number): Promise<GoodImages>;
  close(): Promise<void>;
}

export interface GoodImages {
  readonly pixels: Float32Array;
  readonly failures: readonly DecodeFailure[];
}

export interface ImageLoaderOptions {
  /** Folder that paths are relative to; default the working directory. */
  readonly root?: string;
  /** Where the image of a name lies (a dataset's `locateName`), instead of a file below `root`. */
  readonly locate?: (name: string) => ImageLocation;
  readonly workers?: number;
}

export function createImageLoader(options: ImageLoaderOptions = {}): ImageLoader {
  const pool = new DecodePool(options.workers);
  const { root } = options;
  const { locate = (path) => fileLocation(root === undefined ? path : join(root, path)) } = options;
  /** Gives each thread its part of the images. */
  const byThread = async <T>(
    paths: readonly string[],
    decode: (images: ImageLocation[], first: number) => Promise<T>,
  ): Promise<T[]> => {
    const share = Math.max(1, Math.ceil(paths.length / pool.size));
    const parts: Promise<T>[] = [];
    for (let first = 0; first < paths.length; first += share) {
      parts.push(decode(paths.slice(first, first + share).map(locate), first));
    }
    // All settle before the first error (in the order of the paths) is thrown: no decoding goes on behind the caller.
    return (await Promise.allSettled(parts)).map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
  };
  return {
    async load(paths, imageSize) {
      const imageValues = imageSize * imageSize * 3;
      const pixels = new Float32Array(paths.length * imageValues);
      await byThread(paths, async (images, first) => {
        putUnits(pixels, first * imageValues, await pool.decode(images, imageSize));
      });
      return pixels;
    },
    async loadGood(paths, imageSize) {
      const imageValues = imageSize * imageSize * 3;
      const parts = await byThread(paths, async (images, first) => {
        const { pixels, failures } = await pool.decodeWhole(images, imageSize);
        return { pixels, first, failures: failures.map(({ at, reason }) => ({ at: first + at, reason })) };
      });
      const failures = parts.flatMap((part) => part.failures);
      const failed = new Set(failures.map(({ at }) => at));
      const good = new Float32Array((paths.length - failed.size) * imageValues);
      let offset = 0;
      for (const { pixels, first } of parts) {
        for (let start = 0; start < pixels.length; start += imageValues) {
          if (failed.has(first + start / imageValues)) continue;
          putUnits(good, offset, pixels.subarray(start, start + imageValues));
          offset += imageValues;
        }
      }
      return { pixels: good, failures };
    },
    close: () => pool.close(),
  };
}

function putUnits(pixels: Float32Array, offset: number, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) pixels[offset + i] = PIXEL_TO_UNIT[bytes[i]!]!;
}

/** Loads images once, as `createImageLoader(options).load(paths, imageSize)`. For several calls keep a loader. */
export async function loadImages(
  paths: readonly string[],
  imageSize: number,
  options: ImageLoaderOptions = {},
): Promise<Float32Array> {
  const loader = createImageLoader(options);
  try {
    return await loader.load(paths, imageSize);
  } finally {
    await loader.close();
  }
}
