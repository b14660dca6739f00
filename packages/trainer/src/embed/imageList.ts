import { resolve } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { hasIdentities } from '../data/imageFolder.js';
import { listImageTree } from '../data/imageTree.js';
import { fileLocation, type ImageLocation } from '../data/location.js';
import { findDataset, openDataset } from '../data/openDataset.js';

/** Whose the images are. */
export interface Owners {
  /** Names, by label. */
  readonly identities: readonly string[];
  /** [images], indices into `identities`. */
  readonly labels: Int32Array;
}

/** Images to embed, in the order of their rows. */
export interface ImageList {
  readonly names: readonly string[];
  readonly locate: (name: string) => ImageLocation;
  /** Absent for images of nobody in particular. */
  readonly owners?: Owners;
}

/**
 * Lists what is to be embedded: the images of a dataset, in its order, or those of a folder at any depth, in the order of their names.
 * @param options.identities false: a folder's images at every depth, and nobody's. Default: a folder's images are nobody's where none lies right
 *   in a folder of its own, `IDENTITY/IMAGE.jpg`.
 * @throws HyperArcError E_FORMAT for what is no dataset, or has no image.
 */
export async function listImages(
  root: string,
  { identities: wanted = true, log = () => {} }: { identities?: boolean; log?: (line: string) => void } = {},
): Promise<ImageList> {
  const { kind } = findDataset(root);
  if (kind === 'folder' && (!wanted || !hasIdentities(root))) {
    const { images, ignored } = listImageTree(root);
    if (wanted) log(`${root}: no IDENTITY/IMAGE.jpg in it; its images are taken at any depth, without identities`);
    if (ignored.length > 0) {
      log(`warning: ${root}: ${ignored.length} entries are no JPEG, PNG or WebP and are left out: ${ignored[0]}, …`);
    }
    return { names: images, locate: (name) => fileLocation(resolve(root, name)) };
  }
  const { labels, identities, nameOf, locateName } = await openDataset(root, { log });
  if (labels.length === 0) throw new HyperArcError('E_FORMAT', `${root}: expected images to embed, received none`);
  const names = Array.from(labels, (_, index) => nameOf(index));
  return { names, locate: locateName, ...(wanted && { owners: { identities, labels } }) };
}
