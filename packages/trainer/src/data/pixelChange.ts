import { augmentBatch, type AugmentJob } from './augment/augmentImage.js';
import { corruptBatch, type CorruptJob } from './augment/corrupt.js';

/** What the decoding threads do to images that are decoded already. Plain data: it travels to another thread. */
export type PixelChange = { readonly augment: AugmentJob } | { readonly corrupt: CorruptJob };

/** @returns the changed images [images, size, size, 3], in the array that came. */
export async function changePixels(task: {
  readonly pixels: Uint8Array;
  readonly size: number;
  readonly change: PixelChange;
}): Promise<Uint8Array<ArrayBuffer>> {
  const { size, change } = task;
  const pixels = task.pixels as Uint8Array<ArrayBuffer>;
  if ('augment' in change) await augmentBatch(pixels, size, change.augment);
  else await corruptBatch(pixels, size, change.corrupt);
  return pixels;
}
