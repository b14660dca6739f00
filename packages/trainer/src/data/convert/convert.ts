import { basename, dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from '../dataset.js';
import { checkFormat, type ImageFormat } from '../imageFormat.js';
import { LocationReader, nameOfLocation } from '../location.js';
import { openDataset } from '../openDataset.js';
import { writeFolder } from './folderWriter.js';
import { writeRecords } from './recordWriter.js';
import { DEFAULT_SHARD_BYTES, writeShards } from './shardWriter.js';
import { checkNewOutput } from '../../outputs.js';
import { writeWholeFolder } from './wholeFolder.js';

export interface ConvertResult {
  readonly images: number;
  readonly identities: number;
}

export interface ConvertOptions {
  /** Most bytes of a shard, where shards are written; at least one image is in each. Default 1 GiB. */
  readonly shardBytes?: number;
  readonly onProgress?: (images: number) => void;
  /** Told what opening does that takes time, and what falls short of a whole conversion. */
  readonly log?: (line: string) => void;
  /** Ends the conversion with its reason; nothing is kept. */
  readonly signal?: AbortSignal;
}

/** One image on its way: its contents as they were. */
export interface ImageFile {
  /** From 0, in the dataset's order. */
  readonly index: number;
  /** The dataset's name for it. */
  readonly name: string;
  readonly label: number;
  readonly format: ImageFormat;
  readonly bytes: Buffer;
}

/** Endings of forms that are not written; a folder of such a name would be a misunderstanding. */
const NOT_WRITTEN = /\.(zip|tgz|gz|xz|zst|bz2|parquet|arrow|lst|idx|csv|tsv|bin|lmdb|mdb|h5|hdf5|npz|npy|tfrecords?)$/i;

/** What the name asks for. */
function formOf(to: string): 'folder' | 'rec' | 'tar' {
  const other = NOT_WRITTEN.exec(to)?.[0];
  if (other !== undefined) {
    throw new HyperArcError(
      'E_RANGE',
      `to: expected a folder, NEW/NAME.rec or NEW/NAME.tar, received ${to}; ${other} is not written`,
    );
  }
  return (/\.(rec|tar)$/.exec(to)?.[1] as 'rec' | 'tar' | undefined) ?? 'folder';
}

/** Images between two looks at the signal. */
const BREATH = 64;

/**
 * Writes a dataset, every image byte for byte, in another form: an image folder, MXNet's RecordIO as InsightFace lays it out (`to` ends in `.rec`), or
 * tar shards as WebDataset reads them (`.tar`). What is written is a new folder: `to`, or that of `to`. It is written beside its place and renamed at the end.
 * @param from what openDataset takes, or a Parquet file.
 * @throws HyperArcError E_RANGE if the folder is there already, for another form than these, or for a name that the form cannot hold; E_FORMAT for a damaged source, naming the image.
 */
export async function convertDataset(from: string, to: string, options: ConvertOptions = {}): Promise<ConvertResult> {
  const form = formOf(to);
  const folder = form === 'folder' ? to : dirname(to);
  checkNewOutput('to', folder, form === 'folder' ? 'a folder' : `NEW/${basename(to)} in a folder`);
  const dataset = await openDataset(from, { ...options, inOrder: true });
  await writeWholeFolder(folder, async (partial) => {
    const images = () => imagesOf(dataset, options);
    if (form === 'folder') await writeFolder(dataset, images(), partial);
    else if (form === 'rec') await writeRecords(dataset, images, partial, basename(to));
    else await writeShards(dataset, images(), partial, basename(to), options.shardBytes ?? DEFAULT_SHARD_BYTES);
  });
  return { images: dataset.labels.length, identities: dataset.identities.length };
}

async function* imagesOf(dataset: ImageDataset, { onProgress, signal }: ConvertOptions): AsyncGenerator<ImageFile> {
  using reader = new LocationReader();
  for (const [index, label] of dataset.labels.entries()) {
    const location = dataset.locate(index);
    const bytes = await reader.read(location);
    const format = checkFormat(bytes, nameOfLocation(location));
    yield { index, name: dataset.nameOf(index), label, format, bytes };
    onProgress?.(index + 1);
    if (index % BREATH !== 0) continue;
    await setImmediate();
    signal?.throwIfAborted();
  }
}
