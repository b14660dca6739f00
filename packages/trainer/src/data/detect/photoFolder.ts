import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { withoutExtension } from '../align/alignRows.js';
import { byName } from '../imageFolder.js';
import { isImageName } from '../imageName.js';

export interface PhotoList {
  /** JPEG and PNG files at any depth by their names, relative to the folder, with `/`. */
  readonly photos: readonly string[];
  /** Other entries, in the same form. */
  readonly ignored: readonly string[];
}

/**
 * Lists the photographs below a folder, in the order of their names. Links are followed, but for those that lead back to a folder above.
 * @throws HyperArcError E_FORMAT when a folder cannot be read, there is no photograph, or two have one name but for the extension: their faces would
 *   be one file.
 */
export function listPhotos(root: string): PhotoList {
  const photos: string[] = [];
  const ignored: string[] = [];
  const visit = (folder: string, above: readonly string[]): void => {
    const names = entriesOf(join(root, folder));
    const place = realpathSync(join(root, folder));
    for (const name of names) {
      const path = folder === '' ? name : `${folder}/${name}`;
      const entry = statSync(join(root, path), { throwIfNoEntry: false });
      const isFolder = entry?.isDirectory() === true && !name.startsWith('.');
      if (isFolder && ![...above, place].includes(realpathSync(join(root, path)))) visit(path, [...above, place]);
      else if (entry?.isFile() === true && isImageName(name)) photos.push(path);
      else ignored.push(path);
    }
  };
  visit('', []);
  if (photos.length === 0) {
    const received = ignored.length === 0 ? 'an empty folder' : `${ignored.length} other entries (${ignored[0]}, …)`;
    throw new HyperArcError(
      'E_FORMAT',
      `${root}: expected photographs (jpg, jpeg or png), received ${received}; check the path`,
    );
  }
  refuseTwins(root, photos);
  return { photos, ignored };
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort(byName);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new HyperArcError(
      'E_FORMAT',
      `${folder}: expected a folder of photographs, received ${code ?? message}; check the path and its permissions`,
      {
        cause,
      },
    );
  }
}

function refuseTwins(root: string, photos: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const path of photos) {
    const twin = seen.get(withoutExtension(path));
    if (twin !== undefined) {
      throw new HyperArcError(
        'E_FORMAT',
        `${root}: expected one photograph of a name, received ${twin} and ${path}, whose faces would be one file; rename one of them`,
      );
    }
    seen.set(withoutExtension(path), path);
  }
}
