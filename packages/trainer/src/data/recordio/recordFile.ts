import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { PartFile, ReadAhead } from '../partFile.js';

/** First word of every part of a record. */
export const RECORD_MAGIC = 0xced7230a;
/** Of a part's second word the low bits are its length in bytes, the three high ones say which part of a record it is. */
const LENGTH_BITS = 29;
const PART = { whole: 0, first: 1, middle: 2, last: 3 } as const;
const HEADER_BYTES = 8;
const WINDOW_BYTES = 1 << 20;
const MAGIC_BYTES = Buffer.alloc(4);
MAGIC_BYTES.writeUInt32LE(RECORD_MAGIC);

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/**
 * A record as it stands in a RecordIO file (dmlc-core, recordio.h): u32 magic, u32 part and length, payload, zeros up to a multiple of 4
 * bytes; all little-endian. A payload that holds the magic at a multiple of 4 bytes is cut there, and the magic left out.
 * @throws HyperArcError E_RANGE for 2²⁹ bytes and more.
 */
export function encodeRecord(payload: Uint8Array): Buffer {
  if (payload.length >= 2 ** LENGTH_BITS) {
    throw new HyperArcError(
      'E_RANGE',
      `payload: expected fewer than 2^${LENGTH_BITS} bytes, received ${payload.length}`,
    );
  }
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const parts: Buffer[] = [];
  const add = (part: number, content: Buffer) => {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(RECORD_MAGIC, 0);
    header.writeUInt32LE(part * 2 ** LENGTH_BITS + content.length, 4);
    parts.push(header, content);
  };
  let start = 0;
  for (let at = bytes.indexOf(MAGIC_BYTES); at !== -1; at = bytes.indexOf(MAGIC_BYTES, at + 1)) {
    if (at % 4 !== 0) continue;
    add(start === 0 ? PART.first : PART.middle, bytes.subarray(start, at));
    start = at + 4;
  }
  const rest = bytes.subarray(start);
  add(start === 0 ? PART.whole : PART.last, rest);
  parts.push(Buffer.alloc(padded(rest.length) - rest.length));
  return Buffer.concat(parts);
}

/** Records of a RecordIO file, read where they are asked for: the file may be far larger than memory. */
export class RecordFile implements Disposable {
  readonly bytes: number;
  private readonly file: PartFile;
  private readonly ahead: ReadAhead;

  /** @throws HyperArcError E_FORMAT for a file that cannot be opened. */
  constructor(readonly path: string) {
    this.file = new PartFile(path, 'RecordIO file');
    this.ahead = new ReadAhead(this.file, WINDOW_BYTES);
    this.bytes = this.file.bytes;
  }

  /**
   * @param offset where the record begins, in bytes.
   * @returns its payload, and where the next record begins.
   * @throws HyperArcError E_FORMAT naming the file and the offset: no record begins there, or the file ends within it.
   */
  readAt(offset: number): { payload: Buffer; next: number } {
    return this.walk(offset, Infinity);
  }

  /** As {@link readAt}, but at most the first `bytes` of the payload. The file is read on ahead: for visiting record after record. */
  peekAt(offset: number, bytes: number): { payload: Buffer; next: number } {
    return this.walk(offset, bytes);
  }

  /** Where each record of the file begins, in order: for files without an index. Errors: those of {@link readAt}. */
  *offsets(): Generator<number> {
    for (let at = 0; at < this.bytes;) {
      yield at;
      at = this.peekAt(at, 0).next;
    }
  }

  private walk(offset: number, most: number): { payload: Buffer; next: number } {
    const from = most === Infinity ? this.file : this.ahead;
    const read = (at: number, length: number): Buffer => from.read(at, length);
    const contents: Buffer[] = [];
    let taken = 0;
    let at = offset;
    for (let first = true; ; first = false) {
      const { part, length } = this.headerAt(at, offset, read);
      const isExpected = first
        ? part === PART.whole || part === PART.first
        : part === PART.middle || part === PART.last;
      if (!isExpected) {
        const expected = first ? 'the beginning of a record' : `another part of the record at ${offset}`;
        this.fail(at, expected, `part ${part}`);
      }
      const begin = at + HEADER_BYTES;
      // Before anything is taken for it.
      if (begin + length > this.bytes)
        this.fail(at, `${length} bytes`, `${this.bytes - begin} up to the end of the file`);
      const add = (bytes: number, content: () => Buffer) => {
        if (bytes <= 0) return;
        contents.push(content());
        taken += bytes;
      };
      if (!first) add(Math.min(MAGIC_BYTES.length, most - taken), () => MAGIC_BYTES);
      const wanted = Math.min(length, most - taken);
      add(wanted, () => read(begin, wanted));
      at = begin + padded(length);
      if (part !== PART.whole && part !== PART.last) continue;
      const payload = contents.length === 1 ? contents[0]! : Buffer.concat(contents, taken);
      return { payload, next: at };
    }
  }

  [Symbol.dispose](): void {
    this.file[Symbol.dispose]();
  }

  private headerAt(
    at: number,
    offset: number,
    read: (at: number, length: number) => Buffer,
  ): { part: number; length: number } {
    if (!Number.isSafeInteger(at) || at < 0 || at + HEADER_BYTES > this.bytes) {
      this.fail(at, at === offset ? 'a record' : `another part of the record at ${offset}`, 'the end of the file');
    }
    const header = read(at, HEADER_BYTES);
    const magic = header.readUInt32LE(0);
    if (magic !== RECORD_MAGIC) this.fail(at, `the magic 0x${RECORD_MAGIC.toString(16)}`, `0x${magic.toString(16)}`);
    const word = header.readUInt32LE(4);
    return { part: Math.floor(word / 2 ** LENGTH_BITS), length: word % 2 ** LENGTH_BITS };
  }

  private fail(at: number, expected: string, received: string): never {
    throw new HyperArcError(
      'E_FORMAT',
      `${this.path}: expected ${expected} at byte ${at}, received ${received}; the file is damaged or its index is another file's`,
    );
  }
}
