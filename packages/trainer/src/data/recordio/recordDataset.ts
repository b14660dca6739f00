import { statSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { StoredArray } from '../arrayFile.js';
import type { ImageDataset } from '../dataset.js';
import { sniffFormat } from '../decodeImage.js';
import { cachedIndex, indexProgress, stampOf, type OpenOptions } from '../indexCache.js';
import type { ImageLocation } from '../location.js';
import { faceRecordHeads, LARGEST_EXACT_LABEL } from './faceRecords.js';
import { indexPathOf } from './recordIndex.js';

/** What there is to know of a file's images, by image, sorted by label, then key. */
interface ImageTable {
  readonly keys: Float64Array;
  /** In bytes. */
  readonly offsets: Float64Array;
  /** Of the dataset: ranks among `labels`. */
  readonly classes: Int32Array;
  /** Index into FORMATS. */
  readonly formats: Uint8Array;
  /** [classes], ascending, as the records have them. */
  readonly labels: Float64Array;
}

const FORMATS = ['jpg', 'png'] as const;
/** Records between two looks at the signal. */
const BREATH = 1 << 14;

/** `LABEL/KEY.jpg`, as `hyperarc data convert` names the file: images sorted by name are sorted by label, then key. */
export const recordName = (label: number, key: number, format: string): string =>
  `${recordIdentity(label)}/${String(key).padStart(9, '0')}.${format}`;

export const recordIdentity = (label: number): string => String(label).padStart(8, '0');

/** Where {@link openRecordDataset} keeps what it found out. */
export const tablePathOf = (recordPath: string): string => `${recordPath}.hyperarc-index`;

/**
 * Opens a RecordIO dataset for training: identities, names and order are those of the folder that `hyperarc data convert` makes of it. The first time every
 * record's header is read, and what it says kept in a file beside the dataset; afterwards opening takes only that file, as long as the
 * dataset's size and time of change are the same.
 * @throws HyperArcError E_FORMAT naming file and record.
 */
export async function openRecordDataset(path: string, options: OpenOptions = {}): Promise<ImageDataset> {
  const { log = () => {} } = options;
  const table = await cachedIndex<ImageTable>(
    {
      root: path,
      indexPath: tablePathOf(path),
      stamp: stampOf([path, indexPathOf(path)]),
      parse: (arrays) => parseTable(arrays, statSync(path).size),
      make: () => makeTable(path, options),
      arraysOf: (table) => ({ ...table }),
      imagesOf: (table) => table.keys.length,
    },
    options,
  );
  const above = table.labels.findLast((label) => label > LARGEST_EXACT_LABEL);
  if (above !== undefined) {
    log(`${path}: label ${above} is above 2^24, where fp32 labels of neighbouring identities are the same number`);
  }
  return datasetOf(path, table);
}

function datasetOf(root: string, { keys, offsets, classes, formats, labels }: ImageTable): ImageDataset {
  const locate = (index: number): ImageLocation => {
    return { kind: 'record', path: root, key: keys[index]!, offset: offsets[index]! };
  };
  const nameOf = (index: number): string =>
    recordName(labels[classes[index]!]!, keys[index]!, FORMATS[formats[index]!]!);
  const find = (label: number, key: number): number => {
    let [low, high] = [0, keys.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const here = labels[classes[middle]!]!;
      if (here < label || (here === label && keys[middle]! < key)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    root,
    identities: Array.from(labels, recordIdentity),
    labels: classes,
    nameOf,
    locate,
    locateName: (name) => {
      const [label, key] = name.split(/[/.]/);
      const index = find(Number(label), Number(key));
      if (index < keys.length && nameOf(index) === name) return locate(index);
      const fix = 'images are named LABEL/KEY.jpg, as hyperarc data convert names them';
      throw new HyperArcError('E_RANGE', `${root}: expected the name of an image, received ${name}; ${fix}`);
    },
  };
}

function parseTable(arrays: ReadonlyMap<string, StoredArray>, bytes: number): ImageTable | undefined {
  const table = Object.fromEntries(arrays) as unknown as ImageTable;
  return isSound(table, bytes) ? table : undefined;
}

/** Everything that `datasetOf` takes for granted. */
function isSound({ keys, offsets, classes, formats, labels }: ImageTable, bytes: number): boolean {
  if (!(keys instanceof Float64Array) || !(offsets instanceof Float64Array) || !(labels instanceof Float64Array)) {
    return false;
  }
  if (!(classes instanceof Int32Array) || !(formats instanceof Uint8Array)) return false;
  const { length } = keys;
  if (length === 0 || [offsets, classes, formats].some((array) => array.length !== length)) return false;
  // Tens of millions are looked at whenever a dataset is opened: one plain loop.
  let [lastClass, lastKey] = [0, -Infinity];
  for (let i = 0; i < length; i++) {
    const offset = offsets[i]!;
    const rank = classes[i]!;
    const key = keys[i]!;
    if (!(offset >= 0 && offset < bytes) || Math.floor(offset) !== offset || formats[i]! >= FORMATS.length) return false;
    if (rank < lastClass || (rank === lastClass && !(key > lastKey))) return false;
    lastClass = rank;
    lastKey = key;
  }
  if (lastClass >= labels.length) return false;
  return labels.every((label, i) => Number.isSafeInteger(label) && (i === 0 || label > labels[i - 1]!));
}

async function makeTable(path: string, { log = () => {}, signal }: OpenOptions): Promise<ImageTable> {
  const progress = indexProgress(path, log);
  const keys = new Growing();
  const offsets = new Growing();
  const labels = new Growing();
  const formats = new Growing();
  for (const { key, label, offset, start } of faceRecordHeads(path, log)) {
    const format = sniffFormat(start);
    if (format === undefined) {
      const received = 'received other contents';
      throw new HyperArcError('E_FORMAT', `${path}: record ${key}: expected a JPEG or PNG image, ${received}`);
    }
    keys.push(key);
    offsets.push(offset);
    labels.push(label);
    formats.push(format === 'jpeg' ? 0 : 1);
    if (keys.length % BREATH !== 0) continue;
    await setImmediate();
    signal?.throwIfAborted();
    progress(keys.length);
  }
  if (keys.length === 0) throw new HyperArcError('E_FORMAT', `${path}: expected images, received none`);
  return sorted(keys.values(), offsets.values(), labels.values(), formats.values());
}

/** Sorts by label, then key: a counting sort by class, which keeps the order of keys. */
function sorted(keys: Float64Array, offsets: Float64Array, labels: Float64Array, formats: Float64Array): ImageTable {
  const distinct = Float64Array.from(new Set(labels)).sort();
  const classOf = new Map<number, number>();
  distinct.forEach((label, rank) => classOf.set(label, rank));
  const places = new Float64Array(distinct.length + 1);
  for (const label of labels) places[classOf.get(label)! + 1]! += 1;
  for (let i = 1; i < places.length; i++) places[i]! += places[i - 1]!;
  const { length } = keys;
  const table = {
    keys: new Float64Array(length),
    offsets: new Float64Array(length),
    classes: new Int32Array(length),
    formats: new Uint8Array(length),
    labels: distinct,
  };
  for (let i = 0; i < length; i++) {
    const rank = classOf.get(labels[i]!)!;
    const at = places[rank]!;
    places[rank] = at + 1;
    table.keys[at] = keys[i]!;
    table.offsets[at] = offsets[i]!;
    table.classes[at] = rank;
    table.formats[at] = formats[i]!;
  }
  return table;
}

/** Numbers whose count is not known before. */
class Growing {
  length = 0;
  private array = new Float64Array(1024);

  push(value: number): void {
    if (this.length === this.array.length) {
      const larger = new Float64Array(2 * this.length);
      larger.set(this.array);
      this.array = larger;
    }
    this.array[this.length++] = value;
  }

  values(): Float64Array {
    return this.array.subarray(0, this.length);
  }
}
