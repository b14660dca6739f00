import { augmentBatch, type AugmentJob } from './augment/augmentImage.js';

/** What the decoding threads do to images that are decoded already. Plain data: it travels to another thread. */
export interface PixelChange {
  readonly augment: AugmentJob;
}

/** @returns the changed images [images, size, size, 3], in the array that came. */
export async function changePixels(task: { readonly pixels: Uint8Array; readonly size: number; readonly change: PixelChange }): Promise<Uint8Array<ArrayBuffer>> {
  const pixels = task.pixels as Uint8Array<ArrayBuffer>;
  await augmentBatch(pixels, task.size, task.change.augment);
  return pixels;
}
