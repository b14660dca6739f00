import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { renameDurably, syncFolder } from '../../files.js';
import { readImageFile, sniffFormat } from '../decodeImage.js';
import { scanImageFolder, type ImageDataset } from '../imageFolder.js';
import { faceRecords, LARGEST_EXACT_LABEL } from './faceRecords.js';
import { encodeImageRecord } from './imageRecord.js';
import { encodeRecord } from './recordFile.js';
import { indexPathOf } from './recordIndex.js';

export interface ConvertResult {
  readonly images: number;
  readonly identities: number;
}

export interface ConvertOptions {
  readonly onProgress?: (images: number) => void;
  /** What falls short of a whole conversion, in words. */
  readonly onWarning?: (message: string) => void;
  /** Ends the conversion with its reason; nothing is kept. */
  readonly signal?: AbortSignal;
}

/** Images between two looks at the signal. */
const BREATH = 64;

/**
 * Writes the images of a RecordIO dataset, byte for byte, as an image folder: `to/LABEL/KEY.jpg` (or png). All is written to a folder beside
 * it and renamed at the end.
 * @param from the `.rec` file.
 * @throws HyperArcError E_RANGE if `to` is there already; E_FORMAT naming a damaged record, or one that is neither JPEG nor PNG.
 */
export async function recordsToFolder(
  from: string,
  to: string,
  { onProgress, onWarning = () => {}, signal }: ConvertOptions = {},
): Promise<ConvertResult> {
  refuseExisting(to);
  return writeBeside(to, async (partial) => {
    const labels = new Set<number>();
    let images = 0;
    for (const { key, label, image } of faceRecords(from, onWarning)) {
      const format = sniffFormat(image);
      if (format === undefined) {
        throw new HyperArcError(
          'E_FORMAT',
          `${from}: record ${key}: expected a JPEG or PNG image, received other contents`,
        );
      }
      const folder = String(label).padStart(8, '0');
      if (!labels.has(label)) mkdirSync(join(partial, folder));
      if (label > LARGEST_EXACT_LABEL && !labels.has(label)) {
        onWarning(
          `${from}: record ${key}: label ${label} is above 2^24, where fp32 labels of neighbouring identities are the same number`,
        );
      }
      labels.add(label);
      writeFileSync(
        join(partial, folder, `${String(key).padStart(9, '0')}.${format === 'jpeg' ? 'jpg' : 'png'}`),
        image,
      );
      images += 1;
      onProgress?.(images);
      if (images % BREATH === 0) await breathe(signal);
    }
    if (images === 0) throw new HyperArcError('E_FORMAT', `${from}: expected images, received none`);
    return { images, identities: labels.size };
  });
}

/**
 * Writes an image folder, byte for byte, as InsightFace lays out a RecordIO dataset: a folder with `NAME.rec`, `NAME.idx`, `NAME.lst` and
 * `property`. Labels are the ranks of the identities' names. The folder is written beside its place and renamed at the end.
 * @param to path of the `.rec` file; its folder must not be there yet.
 * @throws HyperArcError E_RANGE if the folder is there, or for images of different sizes; E_FORMAT naming a bad image.
 */
export async function folderToRecords(
  from: string,
  to: string,
  { onProgress, signal }: ConvertOptions = {},
): Promise<ConvertResult> {
  const folder = dirname(to);
  refuseExisting(folder);
  const dataset = scanImageFolder(from);
  if (dataset.identities.length > LARGEST_EXACT_LABEL) {
    throw new HyperArcError(
      'E_RANGE',
      `${from}: expected at most 2^24 identities, which fp32 labels tell apart, received ${dataset.identities.length}`,
    );
  }
  const size = await commonSize(dataset, signal);
  return writeBeside(folder, async (partial) => {
    const records = join(partial, basename(to));
    const file = openSync(records, 'wx');
    const index: string[] = [];
    let offset = 0;
    const append = (key: number, payload: Uint8Array) => {
      const record = encodeRecord(payload);
      for (let done = 0; done < record.length;) done += writeSync(file, record, done);
      index.push(`${key}\t${offset}\n`);
      offset += record.length;
    };
    try {
      const { samples, identities } = dataset;
      const firstIdentity = samples.length + 1;
      append(0, encodeImageRecord([firstIdentity, firstIdentity + identities.length], 0n));
      const ranges: [number, number][] = [];
      for (const [i, { path, label }] of samples.entries()) {
        append(i + 1, encodeImageRecord([label], BigInt(i + 1), readFileSync(join(from, path))));
        ranges[label] = [ranges[label]?.[0] ?? i + 1, i + 2];
        onProgress?.(i + 1);
        if (i % BREATH === 0) await breathe(signal);
      }
      ranges.forEach((range, label) =>
        append(firstIdentity + label, encodeImageRecord(range, BigInt(firstIdentity + label))),
      );
    } finally {
      closeSync(file);
    }
    const { samples, identities } = dataset;
    writeFileSync(indexPathOf(records), index.join(''));
    writeFileSync(
      records.replace(/\.rec$/, '.lst'),
      samples.map(({ path, label }, i) => `${i + 1}\t${label}\t${path}\n`).join(''),
    );
    writeFileSync(join(partial, 'property'), `${identities.length},${size}\n`);
    return { images: samples.length, identities: identities.length };
  });
}

/** `height,width` of all images. Their contents are checked on the way. */
async function commonSize({ root, samples }: ImageDataset, signal: AbortSignal | undefined): Promise<string> {
  let common: string | undefined;
  for (const { path } of samples) {
    signal?.throwIfAborted();
    const name = `${root}/${path}`;
    const bytes = await readImageFile(join(root, path));
    const { width, height } = await sharp(bytes)
      .metadata()
      .catch((cause: unknown) => {
        throw new HyperArcError(
          'E_FORMAT',
          `${name}: expected a JPEG or PNG image, received other contents (${(cause as Error).message})`,
          { cause },
        );
      });
    if (sniffFormat(bytes) === undefined)
      throw new HyperArcError('E_FORMAT', `${name}: expected a JPEG or PNG image, received other contents`);
    common ??= `${height},${width}`;
    if (common !== `${height},${width}`) {
      const received = `${height},${width}`;
      throw new HyperArcError(
        'E_RANGE',
        `${name}: expected ${common} pixels (height, width) as the images before it, received ${received}; a dataset has one size`,
      );
    }
  }
  return common!;
}

export function refuseExisting(path: string): void {
  if (existsSync(path))
    throw new HyperArcError(
      'E_RANGE',
      `to: expected a folder that is not there yet, received ${path}; name another or remove it`,
    );
}

/** Lets signals of the process be heard. */
async function breathe(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}

/** Makes a folder whole or not at all. */
export async function writeBeside<T>(folder: string, write: (partial: string) => Promise<T>): Promise<T> {
  const partial = join(dirname(folder), `.${basename(folder)}.partial-${randomUUID()}`);
  mkdirSync(partial, { recursive: true });
  try {
    const result = await write(partial);
    syncFolder(partial);
    renameDurably(partial, folder);
    return result;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
}
