import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

import { HyperArcError } from '@hyperarc/kernels-cuda';

/** A dense array with its shape; float32 or int32, row-major. */
export interface TensorData {
  shape: readonly number[];
  values: Float32Array | Int32Array;
}

/** A tensor to write; int64 is for other programs' files, ours have none. */
export interface WritableTensor {
  shape: readonly number[];
  values: Float32Array | Int32Array | BigInt64Array;
}

interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Where a tensor lies in a safetensors file. */
export interface SafetensorsEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly position: number;
  readonly bytes: number;
}

/** Bytes of an element of what checkpoints hold, by the format's names. */
const OUR_DTYPES: Readonly<Record<string, number>> = { F32: 4, I32: 4 };
/** The format's own limit on its header. */
const MAX_HEADER_BYTES = 100_000_000;
/** One read or write; Linux moves at most 2^31 − 4096 bytes in a call. */
const CHUNK_BYTES = 1 << 30;

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The bytes of an array, not copied. */
export function bytesOf(values: WritableTensor['values']): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Writes all of `bytes` at the place an open file is at. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, Math.min(CHUNK_BYTES, bytes.length - done));
  }
}

/** Fills `bytes` from a place of an open file. @throws HyperArcError E_FORMAT if it ends before. */
export function readAll(file: number, bytes: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < bytes.length;) {
    const count = readSync(file, bytes, done, Math.min(CHUNK_BYTES, bytes.length - done), position + done);
    if (count === 0) throw new HyperArcError('E_FORMAT', `${path}: expected ${bytes.length} bytes more, the file ends`);
    done += count;
  }
}

/**
 * Writes named tensors in the safetensors layout: u64 header length, JSON header padded to 8 bytes, raw little-endian data
 * (huggingface/safetensors, "Format"). Tensors are written one by one: no second copy of them is made.
 * @throws HyperArcError E_SHAPE if a shape does not match its values.
 */
export function writeSafetensors(path: string, tensors: ReadonlyMap<string, WritableTensor>): void {
  const header: Record<string, HeaderEntry> = {};
  let offset = 0;
  for (const [name, { shape, values }] of tensors) {
    if (elementCount(shape) !== values.length) {
      throw new HyperArcError('E_SHAPE', `${name}: expected ${shape.join('×')} values, received ${values.length}`);
    }
    header[name] = {
      dtype: values instanceof Float32Array ? 'F32' : values instanceof Int32Array ? 'I32' : 'I64',
      shape: [...shape],
      data_offsets: [offset, offset + values.byteLength],
    };
    offset += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const head = Buffer.alloc(8 + headerBytes, ' ');
  head.writeBigUInt64LE(BigInt(headerBytes));
  json.copy(head, 8);
  const file = openSync(path, 'wx');
  try {
    writeAll(file, head);
    for (const { values } of tensors.values()) writeAll(file, bytesOf(values));
  } finally {
    closeSync(file);
  }
}

function parseHeader(
  path: string,
  source: string,
  dataBytes: number,
  dtypes: Readonly<Record<string, number>>,
): [string, HeaderEntry][] {
  const refuse = (what: string): never => {
    throw new HyperArcError('E_FORMAT', `${path}: expected a safetensors header, received ${what}`);
  };
  let parsed: unknown;
  try {
    parsed = JSON.parse(source);
  } catch {
    return refuse('text that is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return refuse('no JSON object');
  const entries = Object.entries(parsed as Record<string, unknown>).filter(([name]) => name !== '__metadata__');
  const size = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  const checked = entries.map(([name, value]): [string, HeaderEntry] => {
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Partial<Record<keyof HeaderEntry, unknown>>;
    if (typeof dtype !== 'string' || !Object.hasOwn(dtypes, dtype)) {
      return refuse(`dtype ${JSON.stringify(dtype)} of ${name}`);
    }
    if (!Array.isArray(shape) || !shape.every(size)) refuse(`shape ${JSON.stringify(shape)} of ${name}`);
    if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(size)) refuse(`offsets of ${name}`);
    const entry = value as HeaderEntry;
    const [begin, end] = entry.data_offsets;
    const bytes = elementCount(entry.shape) * dtypes[dtype]!;
    if (end - begin !== bytes || end > dataBytes) {
      refuse(`bytes ${begin} to ${end} for ${entry.shape.join('×')} values of ${name} in ${dataBytes} bytes of data`);
    }
    return [name, entry];
  });
  checked.sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1]);
  const end = checked.reduce((reached, [name, entry]) => {
    if (entry.data_offsets[0] !== reached) refuse(`a gap or an overlap before ${name}`);
    return entry.data_offsets[1];
  }, 0);
  if (end !== dataBytes) refuse(`${dataBytes - end} bytes that belong to no tensor`);
  return checked;
}

/**
 * Reads the header of an open safetensors file. The bytes are not trusted: lengths, shapes and offsets are checked first.
 * @param dtypes bytes of an element by the format's name for it; others are refused.
 * @throws HyperArcError E_FORMAT naming what does not fit.
 */
export function readSafetensorsHeader(
  file: number,
  path: string,
  dtypes: Readonly<Record<string, number>>,
): Map<string, SafetensorsEntry> {
  const fileBytes = fstatSync(file).size;
  const prefix = Buffer.alloc(8);
  readAll(file, prefix, 0, path);
  const headerBytes = Number(prefix.readBigUInt64LE());
  if (headerBytes > Math.min(MAX_HEADER_BYTES, fileBytes - 8)) {
    throw new HyperArcError('E_FORMAT', `${path}: expected a header within the file, received length ${headerBytes}`);
  }
  const head = Buffer.alloc(headerBytes);
  readAll(file, head, 8, path);
  const dataStart = 8 + headerBytes;
  return new Map(
    parseHeader(path, head.toString(), fileBytes - dataStart, dtypes).map(
      ([name, { dtype, shape, data_offsets: offsets }]) => {
        return [name, { dtype, shape, position: dataStart + offsets[0], bytes: offsets[1] - offsets[0] }];
      },
    ),
  );
}

/**
 * Reads a safetensors file of float32 and int32 tensors, as checkpoints hold.
 * @throws HyperArcError E_FORMAT naming what does not fit.
 */
export function readSafetensors(path: string): Map<string, TensorData> {
  const file = openSync(path, 'r');
  try {
    const tensors = new Map<string, TensorData>();
    for (const [name, { dtype, shape, position }] of readSafetensorsHeader(file, path, OUR_DTYPES)) {
      const count = elementCount(shape);
      const values = dtype === 'F32' ? new Float32Array(count) : new Int32Array(count);
      readAll(file, bytesOf(values), position, path);
      tensors.set(name, { shape, values });
    }
    return tensors;
  } finally {
    closeSync(file);
  }
}
