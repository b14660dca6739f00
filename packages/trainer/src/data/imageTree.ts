import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { byName } from './imageFolder.js';
import { isImageName } from './imageName.js';

/** What lies below a folder, by names relative to it, with `/`. */
export interface ImageTree {
  /** JPEG, PNG and WebP files at any depth. */
  readonly images: readonly string[];
  /** Other entries. */
  readonly ignored: readonly string[];
}

/**
 * Lists the image files below a folder at any depth, in the order of their names. Links are followed, but for those that lead back to a folder above.
 * @throws HyperArcError E_FORMAT when a folder cannot be read, or there is no image.
 */
export function listImageTree(root: string): ImageTree {
  const images: string[] = [];
  const ignored: string[] = [];
  const visit = (folder: string, above: readonly string[]): void => {
    const names = entriesOf(join(root, folder));
    const place = realpathSync(join(root, folder));
    for (const name of names) {
      const path = folder === '' ? name : `${folder}/${name}`;
      const entry = statSync(join(root, path), { throwIfNoEntry: false });
      const isFolder = entry?.isDirectory() === true && !name.startsWith('.');
      if (isFolder && ![...above, place].includes(realpathSync(join(root, path)))) visit(path, [...above, place]);
      else if (entry?.isFile() === true && isImageName(name)) images.push(path);
      else ignored.push(path);
    }
  };
  visit('', []);
  if (images.length === 0) {
    const received = ignored.length === 0 ? 'an empty folder' : `${ignored.length} other entries (${ignored[0]}, …)`;
    throw new HyperArcError(
      'E_FORMAT',
      `${root}: expected images (jpg, jpeg, png or webp), received ${received}; check the path`,
    );
  }
  return { images, ignored };
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort(byName);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new HyperArcError(
      'E_FORMAT',
      `${folder}: expected a folder of images, received ${code ?? message}; check the path and its permissions`,
      {
        cause,
      },
    );
  }
}
