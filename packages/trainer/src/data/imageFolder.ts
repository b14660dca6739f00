import { readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { KeyedRandom } from './keyedRandom.js';

/** One image of a dataset. */
export interface ImageSample {
  /** Relative to the dataset's root, with `/`. */
  readonly path: string;
  /** Index into the dataset's identities. */
  readonly label: number;
}

/** A face dataset on disk: one folder an identity. */
export interface ImageDataset {
  readonly root: string;
  /** Folder names; the label of an image is its folder's index. */
  readonly identities: readonly string[];
  readonly samples: readonly ImageSample[];
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
export function scanImageFolder(root: string): ImageDataset {
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
  return { root, identities, samples };
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
    if (path.endsWith('.rec')) {
      const fix = `make one of it: hyperarc data convert ${path} FOLDER`;
      throw new HyperArcError('E_FORMAT', `dataset: expected an image folder, received the RecordIO file ${path}; ${fix}`, { cause });
    }
    const reason = (cause as NodeJS.ErrnoException).code === 'EACCES' ? 'one without permission to read' : `none (${(cause as Error).message})`;
    throw new HyperArcError('E_FORMAT', `dataset: expected a folder at ${name}, received ${reason}; check the path and its permissions`, { cause });
  }
}

/**
 * Sets `heldOut` identities apart, chosen by `seed`; both parts are numbered anew from 0 in the order of their names.
 * @throws HyperArcError E_RANGE unless at least one identity stays on either side.
 */
export function splitIdentities(
  dataset: ImageDataset,
  { heldOut, seed }: { readonly heldOut: number; readonly seed: number },
): { train: ImageDataset; test: ImageDataset } {
  const count = dataset.identities.length;
  if (!Number.isInteger(heldOut) || heldOut < 1 || heldOut >= count) {
    throw new HyperArcError(
      'E_RANGE',
      `heldOut: expected a whole number from 1 to ${count - 1} (the dataset has ${count} identities), received ${heldOut}; hold out fewer or give more identities`,
    );
  }
  const order = new KeyedRandom(seed, count).shuffle(Uint32Array.from({ length: count }, (_, i) => i));
  const test = new Set(order.slice(0, heldOut));
  return { train: subset(dataset, (label) => !test.has(label)), test: subset(dataset, (label) => test.has(label)) };
}

function subset(dataset: ImageDataset, keep: (label: number) => boolean): ImageDataset {
  const labels = new Map<number, number>();
  const identities = dataset.identities.filter((_, label) => keep(label) && labels.set(label, labels.size));
  const samples = dataset.samples.filter(({ label }) => labels.has(label)).map(({ path, label }) => ({ path, label: labels.get(label)! }));
  return { root: dataset.root, identities, samples };
}
