import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from '../dataset.js';
import { readImageFile } from '../decodeImage.js';
import { LocationReader } from '../location.js';
import { faceRecords } from '../recordio/faceRecords.js';

/** An image of any dataset, as the checks take it. */
export interface SourceImage {
  /** How findings call it. */
  readonly name: string;
  /** Whom it shows. */
  readonly identity: string;
  /** Contents of the image file; a promise is awaited when the image's turn comes, and its HyperArcError is a finding. */
  readonly bytes: Uint8Array | Promise<Uint8Array>;
}

export type ImageSource = Iterable<SourceImage> | AsyncIterable<SourceImage>;

/** @param paths `IDENTITY/IMAGE`, relative to `root`. */
export function* folderSource(root: string, paths: Iterable<string>): Generator<SourceImage> {
  for (const name of paths) yield { name, identity: name.split('/')[0]!, bytes: readImageFile(join(root, name)) };
}

/** Images of any dataset, in its order. */
export function* datasetSource({ labels, identities, nameOf, locate }: ImageDataset): Generator<SourceImage> {
  using reader = new LocationReader();
  for (const [index, label] of labels.entries()) {
    yield { name: nameOf(index), identity: identities[label]!, bytes: reader.read(locate(index)) };
  }
}

/** The name of a label in an image folder that `hyperarc data convert` makes of a RecordIO file. */
export const labelName = (label: number): string => String(label).padStart(8, '0');

/**
 * Images of a RecordIO file, one at a time, up to the first record that cannot be read.
 * @param onDamage told what is wrong with that record.
 * @throws HyperArcError E_FORMAT when not even the first can be read.
 */
export function* recordSource(
  path: string,
  onWarning: (message: string) => void,
  onDamage: (message: string) => void,
): Generator<SourceImage> {
  let images = 0;
  try {
    for (const { key, label, image } of faceRecords(path, onWarning)) {
      images++;
      yield { name: `record ${key}`, identity: labelName(label), bytes: image };
    }
  } catch (error) {
    if (images === 0 || !(error instanceof HyperArcError)) throw error;
    onDamage(error.message);
  }
}
