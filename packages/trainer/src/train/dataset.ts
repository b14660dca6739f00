import { createHash } from 'node:crypto';

import type { Config } from '../config/index.js';
import { openDataset, splitIdentities, type ImageDataset, type OpenOptions } from '../data/index.js';

/** The identities that are trained on, and those kept out for verification. */
export interface RunDatasets {
  train: ImageDataset;
  heldOut: ImageDataset | undefined;
}

/** Errors: those of openDataset and splitIdentities. */
export async function openDatasets(
  { data, seed }: Pick<Config, 'data' | 'seed'>,
  options: OpenOptions = {},
): Promise<RunDatasets> {
  const all = await openDataset(data.root, options);
  if (data.heldOut === 0) return { train: all, heldOut: undefined };
  const { train, test } = splitIdentities(all, { heldOut: data.heldOut, seed });
  return { train, heldOut: test };
}

/** "5000 images of 100 identities; 20 others held out". */
export function describeDatasets({ train, heldOut }: RunDatasets): string {
  const kept = heldOut === undefined ? '' : `; ${heldOut.identities.length} others held out`;
  return `${train.labels.length} images of ${train.identities.length} identities${kept}`;
}

const fingerprints = new WeakMap<ImageDataset, string>();
/** Lines hashed at once: a call for each of tens of millions would take longest. */
const LINES = 1024;

/** SHA-256 over every name and label: a resumed run must see the same images in the same order. Contents are not read. */
export function fingerprint(dataset: ImageDataset): string {
  const known = fingerprints.get(dataset);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  const { labels } = dataset;
  for (let first = 0; first < labels.length; first += LINES) {
    let lines = '';
    for (let i = first; i < Math.min(first + LINES, labels.length); i++)
      lines += `${labels[i]}\t${dataset.nameOf(i)}\n`;
    hash.update(lines);
  }
  const digest = hash.digest('hex');
  fingerprints.set(dataset, digest);
  return digest;
}
