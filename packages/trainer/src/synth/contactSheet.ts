import { rename, rm } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { scanImageFolder } from '../data/imageFolder.js';
import { makeFolder } from '../files.js';
import { checkNewOutput } from '../outputs.js';

export interface ContactSheetOptions {
  /** An image folder. */
  readonly dataset: string;
  /** The picture to write: .png, .jpg or .webp. */
  readonly file: string;
  /** Identities, from the first. Default 8. */
  readonly rows?: number;
  /** Images of each identity. Default 10. */
  readonly columns?: number;
  /** Side of a cell in pixels. Default 96. */
  readonly cell?: number;
}

/**
 * Before the faces are drawn: that {@link writeContactSheet} can write to `file`.
 * @throws HyperArcError E_FORMAT for another file extension; E_RANGE if it is there already or cannot be written.
 */
export function checkContactSheet(file: string): void {
  if (!['.png', '.jpg', '.jpeg', '.webp'].includes(extname(file).toLowerCase())) {
    throw new HyperArcError(
      'E_FORMAT',
      `contact sheet: expected a .png, .jpg or .webp file, received ${file}; change its extension`,
    );
  }
  checkNewOutput('contact sheet', file, 'a picture');
}

/**
 * Draws a table of faces: a row an identity, a column a sample.
 * @throws HyperArcError E_FORMAT for an empty dataset; as {@link checkContactSheet}.
 */
export async function writeContactSheet({
  dataset,
  file,
  rows = 8,
  columns = 10,
  cell = 96,
}: ContactSheetOptions): Promise<void> {
  checkContactSheet(file);
  const extension = extname(file).toLowerCase();
  const { root, identities, samples } = scanImageFolder(dataset);
  const height = Math.min(rows, identities.length);
  const cells = [];
  for (let label = 0; label < height; label++) {
    const chosen = samples.filter((sample) => sample.label === label).slice(0, columns);
    for (const [column, { path }] of chosen.entries()) {
      const input = await sharp(join(root, path)).resize(cell, cell, { fit: 'cover' }).png().toBuffer();
      cells.push({ input, left: column * cell, top: label * cell });
    }
  }
  makeFolder(dirname(file));
  const partial = `${file}.partial${extension}`;
  try {
    await sharp({ create: { width: columns * cell, height: height * cell, channels: 3, background: '#ffffff' } })
      .composite(cells)
      .toFormat(extension === '.png' ? 'png' : extension === '.webp' ? 'webp' : 'jpeg', { quality: 82 })
      .toFile(partial);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
