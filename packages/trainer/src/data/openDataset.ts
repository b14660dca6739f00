import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from './dataset.js';
import { scanImageFolder } from './imageFolder.js';
import { fileLocation, type ImageLocation } from './location.js';
import { openRecordDataset, type OpenOptions } from './recordio/recordDataset.js';

/** What a path holds, and where it begins. */
type Found = { readonly kind: 'folder' | 'records'; readonly path: string };

/** Looks at the name, and for a folder at what lies in it. */
function find(root: string): Found {
  if (!statSync(root, { throwIfNoEntry: false })?.isDirectory()) {
    return root.endsWith('.rec') ? { kind: 'records', path: root } : { kind: 'folder', path: root };
  }
  // A folder as InsightFace's datasets come in: train.rec, train.idx, property, and verification sets.
  const records = readdirSync(root).filter((name) => name.endsWith('.rec'));
  if (records.length === 0) return { kind: 'folder', path: root };
  if (records.length === 1) return { kind: 'records', path: join(root, records[0]!) };
  const received = `${records.length} in ${root}`;
  throw new HyperArcError('E_FORMAT', `dataset: expected one .rec file, received ${received}; name one of them`);
}

/**
 * Opens the face dataset at a path: an image folder (one folder an identity), a RecordIO file, or a folder that holds one.
 * @throws HyperArcError E_FORMAT for anything else, or naming what is damaged.
 */
export async function openDataset(root: string, options: OpenOptions = {}): Promise<ImageDataset> {
  const { kind, path } = find(root);
  return kind === 'records' ? openRecordDataset(path, options) : scanImageFolder(path);
}

/**
 * Where the images of a path lie, by name: what {@link openDataset} takes, or a folder of image files of any depth.
 * @throws HyperArcError E_FORMAT as openDataset.
 */
export async function openImages(root: string, options: OpenOptions = {}): Promise<(name: string) => ImageLocation> {
  const { kind } = find(root);
  if (kind === 'folder') return (name) => fileLocation(resolve(root, name));
  const dataset = await openDataset(root, options);
  return (name) => dataset.locateName(name);
}
