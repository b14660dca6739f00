import { readdirSync, statSync, type Dirent } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from './dataset.js';
import { isImageName } from './imageName.js';
import { leftOutOfDataset, leftOutOfIdentity, LEFT_OUT, type LeftOut } from './leftOut.js';
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

/** Sorted by code unit, so that labels are the same in every locale. */
export const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Lists an image folder: `root/IDENTITY/IMAGE.{jpg,jpeg,png,webp}`. Deeper folders, hidden entries and other files are
 * ignored; so are identity folders without images (`hyperarc data check` names them).
 * @param log told how many pictures are left out, and why.
 * @throws HyperArcError E_FORMAT when `root` cannot be read or holds no image.
 */
export function scanImageFolder(root: string, log: (line: string) => void = () => {}): ImageFolder {
  const identities: string[] = [];
  const samples: ImageSample[] = [];
  const leftOut = new Map<LeftOut, number>();
  const leaveOut = (why: LeftOut | undefined) => why && leftOut.set(why, (leftOut.get(why) ?? 0) + 1);
  for (const folder of identityFolders(root)) {
    const entries = readFolder(join(root, folder), `${root}/${folder}`);
    for (const entry of entries) leaveOut(leftOutOfIdentity(join(root, folder), entry));
    const images = entries
      .filter(isImage)
      .map((entry) => entry.name)
      .sort(byName);
    if (images.length === 0) continue;
    for (const image of images) samples.push({ path: `${folder}/${image}`, label: identities.length });
    identities.push(folder);
  }
  for (const entry of readFolder(root, root)) leaveOut(leftOutOfDataset(entry));
  const whys = LEFT_OUT.filter((why) => leftOut.has(why)).map((why) => `${leftOut.get(why)} ${why}`).join(', ');
  if (whys !== '') log(`warning: pictures in ${root} are left out: ${whys}; hyperarc data check ${root} names them`);
  if (samples.length === 0) {
    throw new HyperArcError(
      'E_FORMAT',
      `dataset: expected ${root}/IDENTITY/IMAGE.jpg (jpg, jpeg, png or webp), received a folder without such images; give the folder that holds one folder an identity`,
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

/** Whether an image lies right in one of the identity folders below `root`; looks no further than the first. */
export function hasIdentities(root: string): boolean {
  return identityFolders(root).some((folder) => readFolder(join(root, folder), `${root}/${folder}`).some(isImage));
}

const isImage = (entry: Dirent): boolean => (entry.isFile() || entry.isSymbolicLink()) && isImageName(entry.name);

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function readFolder(path: string, name: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'EACCES' ? 'one without permission to read' : `none (${(cause as Error).message})`;
    throw new HyperArcError('E_FORMAT', `dataset: expected a folder at ${name}, received ${reason}; check the path and its permissions`, { cause });
  }
}
