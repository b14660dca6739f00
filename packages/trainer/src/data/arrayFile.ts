import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { renameDurably } from '../files.js';
import { PartFile, ReadAhead } from './partFile.js';

const MAGIC = 'HARCARR1';
const MAX_HEADER_BYTES = 1 << 24;
/** One write; Linux moves at most 2³¹ − 4096 bytes in a call. */
const CHUNK_BYTES = 1 << 30;
/** What a column that stays in its file reads at once: neighbours come with it, and one alone costs little. */
const PAGE_BYTES = 4096;

const TYPES = { f64: Float64Array, u32: Uint32Array, i32: Int32Array, u8: Uint8Array } as const;
type TypeName = keyof typeof TYPES;
type ArrayOf<T extends TypeName> = InstanceType<(typeof TYPES)[T]>;
export type StoredArray = Float64Array | Uint32Array | Int32Array | Uint8Array;

/** Numbers by index: in memory, as a typed array is, or in a file. */
export interface Column {
  readonly length: number;
  readonly at: (index: number) => number | undefined;
}

/** Bytes of which parts are taken: in memory, or in a file. */
export interface ByteColumn {
  readonly length: number;
  readonly subarray: (begin: number, end: number) => Uint8Array;
}

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

/** An array of an {@link ArrayFile}. */
interface Place {
  readonly type: TypeName;
  readonly length: number;
  /** Where it begins, in bytes. */
  readonly offset: number;
}

/**
 * Reads what {@link writeArrays} wrote. The bytes are not trusted: lengths are compared with the file's before anything is taken for them.
 * Errors: E_FORMAT naming what does not fit.
 */
export class ArrayFile {
  readonly facts: Readonly<Record<string, unknown>>;
  private readonly places = new Map<string, Place>();
  private readonly file: PartFile;

  constructor(readonly path: string) {
    this.file = new PartFile(path, 'index of HyperArc');
    const { bytes } = this.file;
    const start = bytes >= 12 ? this.file.read(0, 12) : Buffer.alloc(12);
    const headerBytes = start.readUInt32LE(8);
    if (start.toString('latin1', 0, 8) !== MAGIC || headerBytes > Math.min(MAX_HEADER_BYTES, bytes - 12)) {
      this.refuse('other contents');
    }
    const header = parseHeader(this.file.read(12, headerBytes).toString());
    if (header === undefined) this.refuse('a damaged header');
    this.facts = header.facts;
    let at = padded(12 + headerBytes);
    for (const { name, type, length } of header.arrays) {
      this.places.set(name, { type, length, offset: at });
      at += padded(length * TYPES[type].BYTES_PER_ELEMENT);
    }
    if (at !== bytes) this.refuse(`${bytes} bytes instead of ${at}`);
  }

  /** Names of the arrays. */
  get names(): string[] {
    return [...this.places.keys()];
  }

  /** An array, whole. */
  load<T extends TypeName>(name: string, type: T): ArrayOf<T> {
    const { length, offset } = this.placeOf(name, type);
    const array = new TYPES[type](length);
    this.file.readInto(new Uint8Array(array.buffer), offset);
    return array as ArrayOf<T>;
  }

  /** An array that stays in the file: opening takes no time, and a look at a number a read of {@link PAGE_BYTES} at most. */
  column(name: string, type: TypeName): Column {
    const { length, offset } = this.placeOf(name, type);
    const { file } = this;
    const page = new TYPES[type](PAGE_BYTES / TYPES[type].BYTES_PER_ELEMENT);
    let loaded = -1;
    const load = (wanted: number): void => {
      loaded = -1;
      const bytes = Math.min(PAGE_BYTES, length * page.BYTES_PER_ELEMENT - wanted * PAGE_BYTES);
      file.readInto(new Uint8Array(page.buffer, 0, bytes), offset + wanted * PAGE_BYTES);
      loaded = wanted;
    };
    const at = (index: number): number | undefined => {
      if (!(index >= 0 && index < length)) return undefined;
      const wanted = Math.floor(index / page.length);
      if (wanted !== loaded) load(wanted);
      return page[index % page.length];
    };
    return { length, at };
  }

  /** An array of bytes that stays in the file. */
  bytes(name: string): ByteColumn {
    const { length, offset } = this.placeOf(name, 'u8');
    const window = new ReadAhead(this.file, PAGE_BYTES);
    return {
      length,
      subarray: (begin, end) => {
        if (!(begin >= 0 && begin <= end && end <= length)) this.refuse(`a part from ${begin} to ${end} of ${name}`);
        return window.read(offset + begin, end - begin);
      },
    };
  }

  /** @throws HyperArcError E_FORMAT: the file is damaged. */
  refuse(received: string): never {
    throw new HyperArcError('E_FORMAT', `${this.path}: expected an index of HyperArc, received ${received}`);
  }

  private placeOf(name: string, type: TypeName): Place {
    const place = this.places.get(name);
    if (place?.type !== type) this.refuse(`${place === undefined ? 'none' : place.type} as ${name} (${type})`);
    return place;
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

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, Math.min(CHUNK_BYTES, bytes.length - done));
  }
}
