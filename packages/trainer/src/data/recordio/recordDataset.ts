import { setImmediate } from 'node:timers/promises';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { ArrayFile, Column } from '../arrayFile.js';
import { areClassEnds, classesOf } from '../classRanges.js';
import type { ImageDataset } from '../dataset.js';
import { checkFormat, EXTENSIONS, type ImageFormat } from '../imageFormat.js';
import { cachedIndex, indexProgress, stampOf, type OpenOptions } from '../indexCache.js';
import type { ImageLocation } from '../location.js';
import { faceRecordHeads, LARGEST_EXACT_LABEL } from './faceRecords.js';
import { indexPathOf } from './recordIndex.js';

/** What there is to know of a file's images, by image, sorted by label, then key. */
interface ImageTable<T = Column> {
  readonly keys: T;
  /** In bytes. */
  readonly offsets: T;
  /** Index into FORMATS. */
  readonly formats: T;
  /** [classes], ascending, as the records have them. */
  readonly labels: Float64Array;
  /** [classes], where the images of each end. */
  readonly classEnds: Uint32Array;
}
type MadeTable = ImageTable<Float64Array | Uint8Array>;

/** In the order of their numbers in an index that is kept. */
const FORMATS: readonly ImageFormat[] = ['jpeg', 'png', 'webp'];
/** Records between two looks at the signal. */
const BREATH = 1 << 14;

/** `LABEL/KEY.jpg`, as `hyperarc data convert` names the file: images sorted by name are sorted by label, then key. */
export const recordName = (label: number, key: number, format: ImageFormat): string =>
  `${recordIdentity(label)}/${String(key).padStart(9, '0')}${EXTENSIONS[format][0]}`;

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
  const table = await cachedIndex<ImageTable, MadeTable>(
    {
      root: path,
      indexPath: tablePathOf(path),
      stamp: ['records-2', ...stampOf([path, indexPathOf(path)])],
      parse: parseTable,
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

function datasetOf(root: string, { keys, offsets, formats, labels, classEnds }: ImageTable): ImageDataset {
  const classes = classesOf(classEnds);
  const locate = (index: number): ImageLocation => {
    return { kind: 'record', path: root, key: keys.at(index)!, offset: offsets.at(index)! };
  };
  const nameOf = (index: number): string => {
    const format = FORMATS[formats.at(index)!];
    if (format !== undefined) return recordName(labels[classes[index]!]!, keys.at(index)!, format);
    const fix = 'remove it, and it is made again';
    throw new HyperArcError('E_FORMAT', `${tablePathOf(root)}: expected an index of HyperArc, received damage; ${fix}`);
  };
  const find = (label: number, key: number): number => {
    let [low, high] = [0, keys.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const here = labels[classes[middle]!]!;
      if (here < label || (here === label && keys.at(middle)! < key)) low = middle + 1;
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

function parseTable(file: ArrayFile): ImageTable {
  const table = {
    keys: file.column('keys', 'f64'),
    offsets: file.column('offsets', 'f64'),
    formats: file.column('formats', 'u8'),
    labels: file.load('labels', 'f64'),
    classEnds: file.load('classEnds', 'u32'),
  };
  const { keys, offsets, formats, labels, classEnds } = table;
  const isWhole =
    [offsets, formats].every(({ length }) => length === keys.length) &&
    labels.length === classEnds.length &&
    areClassEnds(classEnds, keys.length) &&
    labels.every((label, rank) => Number.isSafeInteger(label) && (rank === 0 || label > labels[rank - 1]!));
  return isWhole ? table : file.refuse('damaged arrays');
}

async function makeTable(path: string, { log = () => {}, signal }: OpenOptions): Promise<MadeTable> {
  const progress = indexProgress(path, log);
  const keys = new Growing();
  const offsets = new Growing();
  const labels = new Growing();
  const formats = new Growing();
  for (const { key, label, offset, start } of faceRecordHeads(path, log)) {
    const format = checkFormat(start, `${path}: record ${key}`);
    keys.push(key);
    offsets.push(offset);
    labels.push(label);
    formats.push(FORMATS.indexOf(format));
    if (keys.length % BREATH !== 0) continue;
    await setImmediate();
    signal?.throwIfAborted();
    progress(keys.length);
  }
  if (keys.length === 0) throw new HyperArcError('E_FORMAT', `${path}: expected images, received none`);
  return sorted(keys.values(), offsets.values(), labels.values(), formats.values());
}

/** Sorts by label, then key: a counting sort by class, which keeps the order of keys. */
function sorted(keys: Float64Array, offsets: Float64Array, labels: Float64Array, formats: Float64Array): MadeTable {
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
    formats: new Uint8Array(length),
    labels: distinct,
    classEnds: new Uint32Array(distinct.length),
  };
  for (let i = 0; i < length; i++) {
    const rank = classOf.get(labels[i]!)!;
    const at = places[rank]!;
    places[rank] = at + 1;
    table.keys[at] = keys[i]!;
    table.offsets[at] = offsets[i]!;
    table.classEnds[rank] = at + 1;
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
