import { readdirSync, statSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from './dataset.js';
import { scanImageFolder } from './imageFolder.js';
import { fileLocation, type ImageLocation } from './location.js';
import type { OpenOptions } from './indexCache.js';
import { LIST_EXTENSIONS, openListFile } from './listFile.js';
import { openRecordDataset } from './recordio/recordDataset.js';
import { openShards } from './shards/shardDataset.js';

/** What a path holds, and where it begins. */
export type Found = { readonly kind: 'folder' | 'records' | 'shards' | 'list' | 'parquet'; readonly path: string };

/**
 * Looks at the name, and for a folder at what lies in it.
 * @throws HyperArcError E_FORMAT for what is no dataset.
 */
export function findDataset(root: string): Found {
  const stat = statSync(root, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new HyperArcError('E_FORMAT', `dataset: expected a folder or file at ${root}, received none; check the path`);
  }
  if (!stat.isDirectory()) {
    const extension = extname(root);
    if (extension === '.rec') return { kind: 'records', path: root };
    if (extension === '.tar') return { kind: 'shards', path: root };
    if (extension === '.parquet') return { kind: 'parquet', path: root };
    if (LIST_EXTENSIONS.includes(extension)) return { kind: 'list', path: root };
    const kinds = `an image folder, a RecordIO file (.rec), tar shards (.tar) or a list (${LIST_EXTENSIONS.join(', ')})`;
    const fix = /\.(tgz|gz|zst|bz2|xz|zip)$/.test(root) ? '; unpack it first' : '';
    throw new HyperArcError('E_FORMAT', `dataset: expected ${kinds}, received ${root}${fix}`);
  }
  const names = entriesOf(root);
  // A folder as InsightFace's datasets come in: train.rec, train.idx, property, and verification sets.
  const records = names.filter((name) => name.endsWith('.rec'));
  if (records.length > 1) {
    const received = `${records.length} in ${root}`;
    throw new HyperArcError('E_FORMAT', `dataset: expected one .rec file, received ${received}; name one of them`);
  }
  if (records.length === 1) return { kind: 'records', path: join(root, records[0]!) };
  return { kind: names.some((name) => name.endsWith('.tar')) ? 'shards' : 'folder', path: root };
}

/** Files of a folder. */
function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [] : [entry.name]));
  } catch (cause) {
    const received = `one that cannot be read (${(cause as Error).message})`;
    throw new HyperArcError('E_FORMAT', `dataset: expected a folder at ${folder}, received ${received}`, { cause });
  }
}

/**
 * Opens the face dataset at a path: an image folder (one folder an identity), a RecordIO file or a folder that holds one, tar shards (a file, or a
 * folder that holds them), or a list of files with labels.
 * @param options.inOrder the images will be read in the dataset's order: Parquet can be opened then too.
 * @throws HyperArcError E_FORMAT for anything else, or naming what is damaged.
 */
export async function openDataset(
  root: string,
  options: OpenOptions & { readonly inOrder?: boolean } = {},
): Promise<ImageDataset> {
  const { kind, path } = findDataset(root);
  if (kind === 'parquet') {
    if (options.inOrder === true) return (await import('./parquet/parquetDataset.js')).openParquet(path);
    const fix = `make shards of it: hyperarc data convert ${path} NEW/FACES.tar`;
    throw new HyperArcError(
      'E_FORMAT',
      `dataset: expected images that can be read in any order, received the Parquet file ${path}; ${fix}`,
    );
  }
  if (kind === 'records') return openRecordDataset(path, options);
  if (kind === 'shards') return openShards(path, options);
  return kind === 'list' ? openListFile(path) : scanImageFolder(path, options.log);
}

/**
 * Where the images of a path lie, by name: what {@link openDataset} takes, or a folder of image files of any depth.
 * @throws HyperArcError E_FORMAT as openDataset.
 */
export async function openImages(root: string, options: OpenOptions = {}): Promise<(name: string) => ImageLocation> {
  const { kind } = findDataset(root);
  if (kind === 'folder') return (name) => fileLocation(resolve(root, name));
  const dataset = await openDataset(root, options);
  return (name) => dataset.locateName(name);
}
