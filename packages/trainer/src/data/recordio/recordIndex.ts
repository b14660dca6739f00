import { readFileSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

const [TAB, LINE_FEED, CARRIAGE_RETURN, ZERO] = [0x09, 0x0a, 0x0d, 0x30];
/** Keeps numbers whole: 10¹⁵ < 2⁵³. */
const MOST_DIGITS = 15;

/** Where the records of a file begin, by ascending key. Arrays of numbers, since a Map ends at 2²⁴ entries and datasets do not. */
export interface RecordIndex {
  readonly keys: Float64Array;
  /** In bytes. */
  readonly offsets: Float64Array;
}

/** `faces.rec` → `faces.idx`; MXNet keeps them side by side. */
export const indexPathOf = (recordPath: string): string => `${recordPath.replace(/\.rec$/, '')}.idx`;

/**
 * Reads a file of lines `key<TAB>offset`, in any order; undefined where there is no such file.
 * @throws HyperArcError E_FORMAT naming the line, or a key that is there twice.
 */
export function readRecordIndex(path: string): RecordIndex | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HyperArcError('E_FORMAT', `${path}: expected a readable index, received ${(cause as Error).message}`, {
      cause,
    });
  }
  return sortedByKey(parse(bytes, path), path);
}

function parse(bytes: Buffer, path: string): RecordIndex {
  let lines = 1;
  for (const byte of bytes) if (byte === LINE_FEED) lines++;
  const [keys, offsets] = [new Float64Array(lines), new Float64Array(lines)];
  let at = 0;
  const number = () => {
    const start = at;
    let value = 0;
    for (; bytes[at]! >= ZERO && bytes[at]! <= ZERO + 9; at++) value = 10 * value + bytes[at]! - ZERO;
    return at > start && at - start <= MOST_DIGITS ? value : NaN;
  };
  let count = 0;
  for (let line = 1; at < bytes.length; line++) {
    const start = at;
    const key = number();
    const isSplit = bytes[at++] === TAB;
    const offset = isSplit ? number() : NaN;
    if (bytes[at] === CARRIAGE_RETURN) at++;
    if (Number.isNaN(key + offset) || (at < bytes.length && bytes[at++] !== LINE_FEED)) {
      const end = bytes.indexOf(LINE_FEED, start);
      const text = bytes.toString('latin1', start, Math.min(start + 40, end === -1 ? bytes.length : end));
      const received = JSON.stringify(text);
      throw new HyperArcError('E_FORMAT', `${path}: expected key<TAB>offset in line ${line}, received ${received}`);
    }
    [keys[count], offsets[count]] = [key, offset];
    count++;
  }
  return { keys: keys.subarray(0, count), offsets: offsets.subarray(0, count) };
}

function sortedByKey(index: RecordIndex, path: string): RecordIndex {
  // As it nearly always is; sorting tens of millions would take half a minute.
  if (index.keys.every((key, i) => i === 0 || key > index.keys[i - 1]!)) return index;
  const order = Uint32Array.from(index.keys, (_, i) => i).sort((a, b) => index.keys[a]! - index.keys[b]!);
  const keys = Float64Array.from(order, (i) => index.keys[i]!);
  const twice = keys.findIndex((key, i) => i > 0 && key === keys[i - 1]);
  if (twice !== -1)
    throw new HyperArcError('E_FORMAT', `${path}: expected each key once, received ${keys[twice]} twice`);
  return { keys, offsets: Float64Array.from(order, (i) => index.offsets[i]!) };
}
