import { createHash } from 'node:crypto';

import type { Config } from '../config/index.js';
import { scanImageFolder, splitIdentities, type ImageDataset } from '../data/index.js';

/** The identities that are trained on, and those kept out for verification. */
export interface RunDatasets {
  train: ImageDataset;
  heldOut: ImageDataset | undefined;
}

/** Errors: those of scanImageFolder and splitIdentities. */
export function openDatasets({ data, seed }: Pick<Config, 'data' | 'seed'>): RunDatasets {
  const all = scanImageFolder(data.root);
  if (data.heldOut === 0) return { train: all, heldOut: undefined };
  const { train, test } = splitIdentities(all, { heldOut: data.heldOut, seed });
  return { train, heldOut: test };
}

/** SHA-256 over every path and label: a resumed run must see the same images in the same order. Contents are not read. */
export function fingerprint({ samples }: ImageDataset): string {
  const hash = createHash('sha256');
  for (const { path, label } of samples) hash.update(`${label}\t${path}\n`);
  return hash.digest('hex');
}
