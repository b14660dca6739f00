import { closeSync, fsyncSync, fstatSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { renameDurably } from '../files.js';

const MAGIC = 'HARCARR1';
const MAX_HEADER_BYTES = 1 << 24;
/** One read or write; Linux moves at most 2³¹ − 4096 bytes in a call. */
const CHUNK_BYTES = 1 << 30;

const TYPES = { f64: Float64Array, u32: Uint32Array, i32: Int32Array, u8: Uint8Array } as const;
type TypeName = keyof typeof TYPES;
export type StoredArray = Float64Array | Uint32Array | Int32Array | Uint8Array;

interface Header {
  /** Whatever the writer wants to know again. */
  facts: Record<string, unknown>;
  arrays: { name: string; type: TypeName; length: number }[];
}

/**
 * Writes arrays of numbers and some facts as one file, whole or not at all: 8 bytes of magic, u32 length of a JSON header, the header, zeros up to
 * a multiple of 8, then each array, little-endian, with zeros up to a multiple of 8.
 */
export function writeArrays(
  path: string,
  facts: Record<string, unknown>,
  arrays: Readonly<Record<string, StoredArray>>,
): void {
  const types = Object.keys(TYPES) as TypeName[];
  const header: Header = {
    facts,
    arrays: Object.entries(arrays).map(([name, { length, constructor }]) => {
      return { name, type: types.find((type) => TYPES[type] === constructor)!, length };
    }),
  };
  const json = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(padded(12 + json.length));
  head.write(MAGIC, 'latin1');
  head.writeUInt32LE(json.length, 8);
  json.copy(head, 12);
  const partial = `${path}.partial-${randomUUID()}`;
  const file = openSync(partial, 'wx');
  try {
    try {
      writeAll(file, head);
      for (const { buffer, byteOffset, byteLength } of Object.values(arrays)) {
        writeAll(file, new Uint8Array(buffer, byteOffset, byteLength));
        writeAll(file, new Uint8Array(padded(byteLength) - byteLength));
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameDurably(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

/**
 * Reads what {@link writeArrays} wrote. The bytes are not trusted: lengths are compared with the file's before anything is taken for them.
 * @throws HyperArcError E_FORMAT naming what does not fit; the errors of the file system.
 */
export function readArrays(path: string): {
  facts: Record<string, unknown>;
  arrays: ReadonlyMap<string, StoredArray>;
} {
  const file = openSync(path, 'r');
  try {
    const bytes = fstatSync(file).size;
    const start = Buffer.alloc(12);
    if (bytes >= 12) readAll(file, start, 0);
    const headerBytes = start.readUInt32LE(8);
    if (start.toString('latin1', 0, 8) !== MAGIC || headerBytes > Math.min(MAX_HEADER_BYTES, bytes - 12)) {
      return refuse(path, 'other contents');
    }
    const json = Buffer.alloc(headerBytes);
    readAll(file, json, 12);
    const header = parseHeader(json.toString());
    if (header === undefined) return refuse(path, 'a damaged header');
    const sizes = header.arrays.map(({ type, length }) => length * TYPES[type].BYTES_PER_ELEMENT);
    const expected = sizes.reduce((sum, size) => sum + padded(size), padded(12 + headerBytes));
    if (expected !== bytes) return refuse(path, `${bytes} bytes instead of ${expected}`);
    const arrays = new Map<string, StoredArray>();
    let at = padded(12 + headerBytes);
    for (const { name, type, length } of header.arrays) {
      const array = new TYPES[type](length);
      readAll(file, new Uint8Array(array.buffer), at);
      arrays.set(name, array);
      at += padded(array.byteLength);
    }
    return { facts: header.facts, arrays };
  } finally {
    closeSync(file);
  }
}

const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

function parseHeader(json: string): Header | undefined {
  let header: Partial<Header> | null;
  try {
    header = JSON.parse(json) as Partial<Header> | null;
  } catch {
    return undefined;
  }
  const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
  if (!isObject(header) || !isObject(header!.facts) || !Array.isArray(header!.arrays)) return undefined;
  const fits = (entry: Partial<Header['arrays'][number]> | null): boolean =>
    isObject(entry) &&
    typeof entry!.name === 'string' &&
    Object.hasOwn(TYPES, String(entry!.type)) &&
    Number.isSafeInteger(entry!.length) &&
    entry!.length! >= 0;
  return header!.arrays.every(fits) ? (header as Header) : undefined;
}

function refuse(path: string, received: string): never {
  throw new HyperArcError('E_FORMAT', `${path}: expected an index of HyperArc, received ${received}`);
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, Math.min(CHUNK_BYTES, bytes.length - done));
  }
}

function readAll(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    const count = readSync(file, bytes, done, Math.min(CHUNK_BYTES, bytes.length - done), position + done);
    if (count === 0) throw new HyperArcError('E_FORMAT', `expected ${bytes.length - done} bytes more, the file ends`);
    done += count;
  }
}
