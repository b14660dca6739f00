import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ImageDataset } from '../dataset.js';
import { nameOfLocation } from '../location.js';
import { LARGEST_EXACT_LABEL } from '../recordio/faceRecords.js';
import { encodeImageRecord } from '../recordio/imageRecord.js';
import { encodeRecord } from '../recordio/recordFile.js';
import { indexPathOf } from '../recordio/recordIndex.js';
import type { ImageFile } from './convert.js';

/**
 * Writes `NAME.rec`, `NAME.idx`, `NAME.lst` and `property` into an empty folder, as InsightFace lays them out: record 0 says where the identities begin, which
 * come after the images and say which images are theirs. Labels are the identities' ranks.
 * @param images gives the images, twice: their common size is found first.
 * @throws HyperArcError E_RANGE for images of different sizes, images of one identity that are not together, or more identities than fp32 labels tell apart.
 */
export async function writeRecords(
  dataset: ImageDataset,
  images: () => AsyncIterable<ImageFile>,
  folder: string,
  name: string,
): Promise<void> {
  const { identities, labels, root } = dataset;
  if (identities.length > LARGEST_EXACT_LABEL) {
    throw new HyperArcError(
      'E_RANGE',
      `${root}: expected at most 2^24 identities, which fp32 labels tell apart, received ${identities.length}; write shards`,
    );
  }
  const size = await commonSize(dataset, images());
  const records = join(folder, name);
  const file = openSync(records, 'wx');
  const index = openSync(indexPathOf(records), 'wx');
  const list = openSync(records.replace(/\.rec$/, '.lst'), 'wx');
  let offset = 0;
  const append = (key: number, payload: Uint8Array) => {
    const record = encodeRecord(payload);
    for (let done = 0; done < record.length;) done += writeSync(file, record, done);
    writeSync(index, `${key}\t${offset}\n`);
    offset += record.length;
  };
  try {
    const firstIdentity = labels.length + 1;
    append(0, encodeImageRecord([firstIdentity, firstIdentity + identities.length], 0n));
    const ranges: [number, number][] = [];
    for await (const { index, label, name, bytes } of images()) {
      const key = index + 1;
      if (ranges[label] !== undefined && ranges[label][1] !== key) {
        const received = `${name} of ${identities[label]} after others`;
        const fix = 'write a folder or shards, and then RecordIO of those';
        throw new HyperArcError(
          'E_RANGE',
          `${root}: expected the images of an identity one after another, received ${received}; ${fix}`,
        );
      }
      append(key, encodeImageRecord([label], BigInt(key), bytes));
      writeSync(list, `${key}\t${label}\t${name}\n`);
      ranges[label] = [ranges[label]?.[0] ?? key, key + 1];
    }
    ranges.forEach((range, label) =>
      append(firstIdentity + label, encodeImageRecord(range, BigInt(firstIdentity + label))),
    );
  } finally {
    for (const open of [file, index, list]) closeSync(open);
  }
  writeFileSync(join(folder, 'property'), `${identities.length},${size}\n`);
}

/** `height,width` of all images. */
async function commonSize(dataset: ImageDataset, images: AsyncIterable<ImageFile>): Promise<string> {
  let common: string | undefined;
  for await (const { index, bytes } of images) {
    const name = nameOfLocation(dataset.locate(index));
    const { width, height } = await sharp(bytes)
      .metadata()
      .catch((cause: unknown) => {
        const received = `another one (${(cause as Error).message.split('\n')[0]})`;
        throw new HyperArcError('E_FORMAT', `${name}: expected a whole JPEG, PNG or WebP image, received ${received}`, {
          cause,
        });
      });
    common ??= `${height},${width}`;
    if (common === `${height},${width}`) continue;
    const received = `${height},${width}`;
    throw new HyperArcError(
      'E_RANGE',
      `${name}: expected ${common} pixels (height, width) as the images before it, received ${received}; a dataset has one size`,
    );
  }
  return common!;
}
