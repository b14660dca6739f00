import { readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from './dataset.js';
import { fileLocation, type ImageLocation } from './location.js';

/** One image of a dataset. */
export interface ImageSample {
  /** Relative to the dataset's root, with `/`. */
  readonly path: string;
  /** Index into the dataset's identities. */
  readonly label: number;
}

/** A dataset of image files below one folder. */
export class ImageFolder implements ImageDataset {
  readonly labels: Int32Array;

  constructor(
    readonly root: string,
    readonly identities: readonly string[],
    readonly samples: readonly ImageSample[],
  ) {
    this.labels = Int32Array.from(samples, ({ label }) => label);
  }

  // Arrow functions: datasets are taken apart ({ labels, nameOf }).
  readonly nameOf = (index: number): string => this.samples[index]!.path;

  readonly locate = (index: number): ImageLocation => this.locateName(this.nameOf(index));

  readonly locateName = (name: string): ImageLocation => fileLocation(join(this.root, name));
}

const EXTENSIONS = new Set(['.jpg', '.jpeg', '.png']);
export const isImageName = (name: string): boolean => !name.startsWith('.') && EXTENSIONS.has(extname(name).toLowerCase());

/** Sorted by code unit, so that labels are the same in every locale. */
export const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Lists an image folder: `root/IDENTITY/IMAGE.{jpg,jpeg,png}`. Deeper folders, hidden entries and other files are
 * ignored; so are identity folders without images (`hyperarc data check` names them).
 * @throws HyperArcError E_FORMAT when `root` cannot be read or holds no image.
 */
export function scanImageFolder(root: string): ImageFolder {
  const identities: string[] = [];
  const samples: ImageSample[] = [];
  for (const folder of identityFolders(root)) {
    const images = readFolder(join(root, folder), `${root}/${folder}`)
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => entry.name)
      .filter(isImageName)
      .sort(byName);
    if (images.length === 0) continue;
    for (const image of images) samples.push({ path: `${folder}/${image}`, label: identities.length });
    identities.push(folder);
  }
  if (samples.length === 0) {
    throw new HyperArcError(
      'E_FORMAT',
      `dataset: expected ${root}/IDENTITY/IMAGE.jpg (jpg, jpeg or png), received a folder without such images; give the folder that holds one folder an identity`,
    );
  }
  return new ImageFolder(root, identities, samples);
}

/** Names of the identity folders below `root`, sorted. */
export function identityFolders(root: string): string[] {
  return readFolder(root, root)
    .filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || (entry.isSymbolicLink() && isDirectory(join(root, entry.name)))))
    .map((entry) => entry.name)
    .sort(byName);
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function readFolder(path: string, name: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'EACCES' ? 'one without permission to read' : `none (${(cause as Error).message})`;
    throw new HyperArcError('E_FORMAT', `dataset: expected a folder at ${name}, received ${reason}; check the path and its permissions`, { cause });
  }
}
