import { rename, rm } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { makeFolder } from '../files.js';
import { checkNewOutput } from '../outputs.js';
import { augmentImage } from './augment/augmentImage.js';
import type { AugmentPlan } from './augment/plan.js';
import { decodeImage } from './decodeImage.js';
import type { ImageDataset } from './dataset.js';
import { LocationReader, nameOfLocation } from './location.js';
import { openDataset } from './openDataset.js';

export interface AugmentSheetOptions {
  /** What openDataset takes. */
  readonly dataset: string;
  /** The picture to write: .png, .jpg or .webp. */
  readonly file: string;
  readonly plan: AugmentPlan;
  /** Side of the network's input in pixels. */
  readonly size: number;
  /** Images. */
  readonly rows: number;
  /** Pictures of each: the first as it is, the others augmented. */
  readonly columns: number;
  readonly seed: number;
}

/** Cells are enlarged by a whole factor to about this side, so that pixels stay pixels. */
const CELL = 112;
const GAP = 4;

/** One image of each identity, then a second one, and so on. */
function chooseImages({ labels }: ImageDataset, count: number): number[] {
  const seen = new Map<number, number>();
  const ranked = Array.from(labels, (label, index) => {
    const rank = seen.get(label) ?? 0;
    seen.set(label, rank + 1);
    return { index, rank };
  });
  return ranked
    .sort((a, b) => a.rank - b.rank)
    .slice(0, count)
    .map(({ index }) => index);
}

/**
 * Draws what the network sees: a row an image, first as it is, then as augmented in one epoch after another.
 * @throws HyperArcError E_RANGE for sizes out of range, and if `file` is there already or cannot be written; E_FORMAT for another file extension, an empty dataset or a bad image.
 */
export async function writeAugmentSheet(options: AugmentSheetOptions): Promise<{ rows: number; columns: number }> {
  const { dataset, file, plan, size, columns, seed } = options;
  const check = (name: string, value: number, low: number, high: number): void => {
    if (value >= low && value <= high) return;
    throw new HyperArcError('E_RANGE', `${name}: expected a whole number from ${low} to ${high}, received ${value}`);
  };
  check('rows', options.rows, 1, 100);
  check('columns', columns, 2, 100);
  check('size', size, 8, 1024);
  const extension = extname(file).toLowerCase();
  if (!['.png', '.jpg', '.jpeg', '.webp'].includes(extension)) {
    throw new HyperArcError('E_FORMAT', `out: expected a .png, .jpg or .webp file, received ${file}; change its extension`);
  }
  checkNewOutput('file', file, 'a picture');
  const images = await openDataset(dataset);
  const chosen = chooseImages(images, options.rows);
  using reader = new LocationReader();
  const cell = size * Math.max(1, Math.round(CELL / size));
  const raw = { width: size, height: size, channels: 3 } as const;
  const cells = [];
  for (const [row, index] of chosen.entries()) {
    const location = images.locate(index);
    const pixels = await decodeImage(await reader.read(location), size, nameOfLocation(location));
    for (let column = 0; column < columns; column++) {
      const key = { seed, epoch: column, position: row };
      const image = column === 0 ? pixels : await augmentImage(pixels, size, plan, key);
      const input = await sharp(image, { raw }).resize(cell, cell, { kernel: 'nearest' }).png().toBuffer();
      // A wider gap after the image as it is.
      cells.push({ input, left: column * (cell + GAP) + (column > 0 ? GAP : 0), top: row * (cell + GAP) });
    }
  }
  makeFolder(dirname(file));
  const partial = `${file}.partial${extension}`;
  const [width, height] = [columns * (cell + GAP), chosen.length * (cell + GAP) - GAP];
  try {
    await sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
      .composite(cells)
      .toFormat(extension === '.png' ? 'png' : extension === '.webp' ? 'webp' : 'jpeg', { quality: 90 })
      .toFile(partial);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return { rows: chosen.length, columns };
}
