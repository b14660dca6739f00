import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { withoutExtension } from '../align/alignRows.js';
import { listImageTree } from '../imageTree.js';

export interface PhotoList {
  /** JPEG, PNG and WebP files at any depth by their names, relative to the folder, with `/`. */
  readonly photos: readonly string[];
  /** Other entries, in the same form. */
  readonly ignored: readonly string[];
}

/**
 * Lists the photographs below a folder, as {@link listImageTree} does.
 * @throws HyperArcError E_FORMAT as listImageTree, and when two have one name but for the extension: their faces would be one file.
 */
export function listPhotos(root: string): PhotoList {
  const { images: photos, ignored } = listImageTree(root);
  refuseTwins(root, photos);
  return { photos, ignored };
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
