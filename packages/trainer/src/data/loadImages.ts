import { join } from 'node:path';
import { DecodePool } from './decodePool.js';
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
  close(): Promise<void>;
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
  return {
    async load(paths, imageSize) {
      const imageValues = imageSize * imageSize * 3;
      const pixels = new Float32Array(paths.length * imageValues);
      const share = Math.max(1, Math.ceil(paths.length / pool.size));
      const parts: Promise<void>[] = [];
      for (let first = 0; first < paths.length; first += share) {
        const images = paths.slice(first, first + share).map(locate);
        parts.push(
          pool.decode(images, imageSize).then((bytes) => {
            const offset = first * imageValues;
            for (let i = 0; i < bytes.length; i++) pixels[offset + i] = PIXEL_TO_UNIT[bytes[i]!]!;
          }),
        );
      }
      // All settle before the first error (in the order of the paths) is thrown: no decoding goes on behind the caller.
      for (const result of await Promise.allSettled(parts)) if (result.status === 'rejected') throw result.reason;
      return pixels;
    },
    close: () => pool.close(),
  };
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
