import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { SNIFFED_BYTES } from '../imageFormat.js';
import { decodeImageRecord } from './imageRecord.js';
import { RecordFile } from './recordFile.js';
import { indexPathOf, readRecordIndex, type RecordIndex } from './recordIndex.js';

/** Above this not every whole number is an fp32 number, and two identities may have become one. */
export const LARGEST_EXACT_LABEL = 2 ** 24;

/** One image of a RecordIO dataset. */
export interface FaceRecord {
  /** Number of the record in the index; its place in the file where there is none. */
  readonly key: number;
  readonly label: number;
  /** Contents of the image file. */
  readonly image: Buffer;
}

/** What a record says of its image. */
export interface FaceRecordHead {
  readonly key: number;
  readonly label: number;
  /** Where the record begins, in bytes. */
  readonly offset: number;
  /** The image's first bytes: 8, if it has that many. */
  readonly start: Buffer;
}

/**
 * The images of a face dataset in MXNet's RecordIO, one at a time, in the order of their keys, as InsightFace lays them out: record 0 may be a
 * header with the labels (a, b), then the images are 1 … a − 1 and a … b − 1 describe identities. Without such a header every record is an image.
 * @param onNoIndex called when there is no `.idx` beside the file: the records with an image are then taken as they stand.
 * @throws HyperArcError E_FORMAT naming file and record.
 */
export function* faceRecords(path: string, onNoIndex: (message: string) => void = () => {}): Generator<FaceRecord> {
  using file = new RecordFile(path);
  for (const { key, label, offset } of heads(file, onNoIndex)) {
    const name = `${path}: record ${key}`;
    yield { key, label, image: decodeImageRecord(file.readAt(offset).payload, name).image };
  }
}

/** As {@link faceRecords}, without reading the images. */
export function* faceRecordHeads(path: string, onNoIndex?: (message: string) => void): Generator<FaceRecordHead> {
  using file = new RecordFile(path);
  yield* heads(file, onNoIndex ?? (() => {}));
}

/** Most bytes that the header of a record with one label takes, and the start of its image. */
const HEAD_BYTES = 64;

function headAt(file: RecordFile, key: number, offset: number): FaceRecordHead {
  const name = `${file.path}: record ${key}`;
  let { payload } = file.peekAt(offset, HEAD_BYTES);
  // A record may have more labels than that; how many of them there can be, its length says.
  const needed = payload.length < 4 ? 0 : 24 + 4 * payload.readUInt32LE(0) + SNIFFED_BYTES;
  if (needed > HEAD_BYTES) payload = file.peekAt(offset, needed).payload;
  const { labels, image } = decodeImageRecord(payload, name);
  return { key, label: checkWhole(labels[0], name), offset, start: image.subarray(0, SNIFFED_BYTES) };
}

/** The records that hold an image. */
function* heads(file: RecordFile, onNoIndex: (message: string) => void): Generator<FaceRecordHead> {
  const { path } = file;
  if (file.bytes === 0) throw new HyperArcError('E_FORMAT', `${path}: expected records, received an empty file`);
  const index = readRecordIndex(indexPathOf(path));
  if (index === undefined) {
    onNoIndex(`${indexPathOf(path)} is not there: taking the images of ${path} in the order they stand`);
    let key = 0;
    for (const offset of file.offsets()) {
      const head = headAt(file, key++, offset);
      if (head.start.length > 0) yield head;
    }
    return;
  }
  const { first, last } = imagesOf(file, index);
  for (let i = first; i < last; i++) {
    const head = headAt(file, index.keys[i]!, index.offsets[i]!);
    if (head.start.length === 0) {
      const fix = "the index is another file's";
      throw new HyperArcError('E_FORMAT', `${path}: record ${head.key}: expected an image, received none; ${fix}`);
    }
    yield head;
  }
}

/** Which entries of the index are images: [first, last). */
function imagesOf(file: RecordFile, { keys, offsets }: RecordIndex): { first: number; last: number } {
  const { path } = file;
  const header = keys[0] === 0 ? headAt(file, 0, offsets[0]!) : undefined;
  if (header === undefined || header.start.length > 0) return { first: 0, last: keys.length };
  const firstIdentity = header.label;
  const found = keys.findIndex((key) => key >= firstIdentity);
  const images = (found === -1 ? keys.length : found) - 1;
  if (images !== firstIdentity - 1) {
    const expected = `the ${firstIdentity - 1} images that record 0 of ${path} speaks of`;
    const fix = "the index is cut short or another file's";
    throw new HyperArcError('E_FORMAT', `${indexPathOf(path)}: expected ${expected}, received ${images}; ${fix}`);
  }
  return { first: 1, last: 1 + images };
}

function checkWhole(label: number | undefined, name: string): number {
  if (Number.isSafeInteger(label) && label! >= 0) return label!;
  throw new HyperArcError(
    'E_FORMAT',
    `${name}: expected a whole number ≥ 0 as label, received ${label}; the record is damaged`,
  );
}
