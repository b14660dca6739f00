import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { decodeImage, readImageFile } from '../../data/decodeImage.js';
import { sniffFormat } from '../../data/imageFormat.js';
import type { ImagePair } from '../../data/pairs.js';
import { makeFolder, renameDurably } from '../../files.js';
import { checkNewOutput } from '../../outputs.js';
import { OP } from '../../pickle/opcodes.js';
import { checkFolds, contiguousFolds } from '../../data/folds.js';

export interface WriteBinOptions {
  /** Side of the images in pixels. arcface_torch verifies at 112, and takes no image that is not square. Default 112. */
  readonly size?: number;
  /** What a reader of the file should know, in words. */
  readonly onWarning?: (message: string) => void;
  readonly onProgress?: (images: number) => void;
  /** Ends the writing with its reason; nothing is kept. */
  readonly signal?: AbortSignal;
}

export interface WriteBinResult {
  readonly pairs: number;
  readonly samePairs: number;
  /** Different files. */
  readonly images: number;
  /** Those that were not `size` × `size`: cut to a centred square, resized, and written as PNG, as every WebP is. The others are in the file byte for byte. */
  readonly resized: number;
}

/** InsightFace verifies in ten folds. */
const FOLDS = 10;
/** Python's pickler puts items on lists by so many. */
const BATCH = 1000;
/** The first protocol with bytes; Python 3 and none before. */
const PROTOCOL = 3;

function uint32(op: number, value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = op;
  bytes.writeUInt32LE(value, 1);
  return bytes;
}

/** Calls `write` with the bytes of a list's items in batches between MARK and APPENDS. */
async function appendAll<T>(items: readonly T[], write: (bytes: Uint8Array) => void, each: (item: T) => Promise<void>) {
  write(Uint8Array.of(OP.EMPTY_LIST));
  for (let i = 0; i < items.length; i += BATCH) {
    write(Uint8Array.of(OP.MARK));
    for (const item of items.slice(i, i + BATCH)) await each(item);
    write(Uint8Array.of(OP.APPENDS));
  }
}

/** An image file of `size` × `size` pixels as it is; another one made so. WebP, which not every build of OpenCV reads, as PNG. */
async function squareImage(path: string, size: number): Promise<{ bytes: Uint8Array; resized: boolean }> {
  const bytes = await readImageFile(path);
  // Whole, of a known format: what cannot be decoded is refused here.
  const pixels = await decodeImage(bytes, size, path);
  const { width, height, orientation = 1 } = await sharp(bytes).metadata();
  const resized = width !== size || height !== size || orientation !== 1;
  if (!resized && sniffFormat(bytes) !== 'webp') return { bytes, resized };
  const png = await sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
    .png()
    .toBuffer();
  return { bytes: png, resized };
}

/**
 * Writes pairs of image files as a verification set of InsightFace's form: a pickle (protocol 3) of (list of bytes, list of bool), which Python 3's
 * `pickle.load`, arcface_torch and `openVerificationSet` read. Pairs are written by fold, in their order within it; a file that comes again is kept once.
 *
 * @param file Path to write: whole or not at all. The folders that lead there are made.
 * @param root Folder that the pairs' paths are relative to.
 * @throws HyperArcError E_FORMAT naming an image that cannot be read; E_RANGE without pairs, for a size out of [16, 1024], or if `file` is there already or
 *   cannot be written.
 */
export async function writeVerificationBin(
  file: string,
  root: string,
  pairs: readonly ImagePair[],
  { size = 112, onWarning = () => {}, onProgress, signal }: WriteBinOptions = {},
): Promise<WriteBinResult> {
  if (!Number.isInteger(size) || size < 16 || size > 1024) {
    throw new HyperArcError('E_RANGE', `size: expected a whole number in [16, 1024], received ${size}`);
  }
  if (pairs.length === 0) throw new HyperArcError('E_RANGE', 'pairs: expected at least one, received none');
  checkNewOutput('file', file, 'a file');
  const ordered = [...pairs].sort((x, y) => x.fold - y.fold);
  warnOfFolds(ordered, onWarning);
  makeFolder(dirname(file));
  const partial = `${file}.partial-${process.pid}`;
  const output = openSync(partial, 'wx');
  const write = (bytes: Uint8Array): void => {
    for (let done = 0; done < bytes.length;) done += writeSync(output, bytes, done);
  };
  const memo = new Map<string, number>();
  let resized = 0;
  try {
    try {
      write(Uint8Array.of(OP.PROTO, PROTOCOL));
      const paths = ordered.flatMap(({ a, b }) => [a, b]);
      await appendAll(paths, write, async (path) => {
        signal?.throwIfAborted();
        const index = memo.get(path);
        if (index !== undefined) return write(uint32(OP.LONG_BINGET, index));
        const image = await squareImage(join(root, path), size);
        if (image.resized) resized++;
        write(uint32(OP.BINBYTES, image.bytes.length));
        write(image.bytes);
        write(uint32(OP.LONG_BINPUT, memo.size));
        memo.set(path, memo.size);
        onProgress?.(memo.size);
      });
      await appendAll(ordered, write, async ({ same }) => write(Uint8Array.of(same ? OP.NEWTRUE : OP.NEWFALSE)));
      write(Uint8Array.of(OP.TUPLE2, OP.STOP));
      fsyncSync(output);
    } finally {
      closeSync(output);
    }
    renameDurably(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
  return { pairs: pairs.length, samePairs: pairs.filter(({ same }) => same).length, images: memo.size, resized };
}

/** InsightFace knows ten folds of equal size only, and divides by the number of same and of different pairs in each. */
function warnOfFolds(ordered: readonly ImagePair[], onWarning: (message: string) => void): void {
  const same = ordered.map((pair) => pair.same);
  const folds = contiguousFolds(ordered.length, FOLDS);
  try {
    checkFolds(same, folds);
  } catch (error) {
    onWarning(`in InsightFace's ${FOLDS} folds this set cannot be verified: ${(error as Error).message}`);
    return;
  }
  const groups = new Map<number, number>();
  const moved = ordered.some(({ fold }, i) => {
    if (!groups.has(folds[i]!)) groups.set(folds[i]!, fold);
    return groups.get(folds[i]!) !== fold;
  });
  if (moved)
    onWarning(`the list's folds are not ${FOLDS} of equal size; verification cuts the set into ${FOLDS} equal ones`);
}
