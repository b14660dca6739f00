import { closeSync, openSync, writeSync } from 'node:fs';
import { extname, join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from '../dataset.js';
import { TAR_END, tarHeader, tarPadding } from '../shards/tar.js';
import type { ImageFile } from './convert.js';
import { checkFolderNames, FileNames } from './folderWriter.js';

export const DEFAULT_SHARD_BYTES = 2 ** 30;

/**
 * Writes `NAME-00000.tar`, `NAME-00001.tar`, … into an empty folder, as WebDataset reads them: `IDENTITY/IMAGE.jpg`, then `IDENTITY/IMAGE.cls`, the
 * identity's rank as text.
 * @throws HyperArcError E_RANGE for names that a tar header cannot hold.
 */
export async function writeShards(
  { identities }: ImageDataset,
  images: AsyncIterable<ImageFile>,
  folder: string,
  name: string,
  shardBytes: number,
): Promise<void> {
  if (!Number.isInteger(shardBytes) || shardBytes < 1) {
    throw new HyperArcError('E_RANGE', `shardBytes: expected a whole number of at least 1, received ${shardBytes}`);
  }
  checkFolderNames(identities);
  const names = new FileNames();
  let shard = 0;
  let file: number | undefined;
  let bytes = 0;
  const put = (...parts: Uint8Array[]) => {
    const block = Buffer.concat(parts);
    for (let done = 0; done < block.length;) done += writeSync(file!, block, done);
    bytes += block.length;
  };
  const finish = () => {
    if (file === undefined) return;
    try {
      put(TAR_END);
    } finally {
      closeSync(file);
      file = undefined;
    }
  };
  const member = (path: string, contents: Uint8Array) => [
    tarHeader(path, contents.length),
    contents,
    tarPadding(contents.length),
  ];
  try {
    for await (const image of images) {
      const path = `${identities[image.label]}/${dotless(names.nameFor(image))}`;
      const label = Buffer.from(String(image.label));
      const sample = [
        ...member(path, image.bytes),
        ...member(`${path.slice(0, -extname(path).length)}.cls`, label),
      ];
      const size = sample.reduce((sum, part) => sum + part.length, TAR_END.length);
      if (file !== undefined && bytes + size > shardBytes) finish();
      if (file === undefined) {
        const number = String(shard++).padStart(5, '0');
        file = openSync(join(folder, name.replace(/\.tar$/, `-${number}.tar`)), 'wx');
        bytes = 0;
      }
      put(...sample);
    }
  } finally {
    finish();
  }
}

/** WebDataset takes a name up to its first dot for the sample's. */
function dotless(file: string): string {
  const extension = extname(file);
  return file.slice(0, -extension.length).replaceAll('.', '_') + extension;
}
