import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { PartFile, ReadAhead } from '../partFile.js';

/** Everything in a tar file stands in blocks of this size. */
const BLOCK = 512;
/** Longest extended header taken: a path, its size, times. */
const MAX_EXTENDED_BYTES = 1 << 20;
const WINDOW_BYTES = 1 << 20;

/** A regular file in a tar file. */
export interface TarMember {
  readonly name: string;
  /** Where its contents begin, in bytes. */
  readonly offset: number;
  readonly bytes: number;
}

/**
 * The regular files of a tar file, in order (POSIX.1-2001 "pax", ustar, and GNU's long names and sizes). Contents are not read.
 * @throws HyperArcError E_FORMAT naming file and byte: no header stands there, or the file ends before its end mark.
 */
export function* tarMembers(path: string): Generator<TarMember> {
  using file = new TarFile(path);
  /** What extended headers say of the next member. */
  let next: { path?: string; size?: number } = {};
  let at = 0;
  for (;;) {
    const header = file.read(at, BLOCK);
    if (header.every((byte) => byte === 0)) {
      if (at === 0) file.fail(at, 'a member', 'none');
      return;
    }
    if (!isIntact(header)) file.fail(at, 'a header of tar', 'other contents');
    const begin = at + BLOCK;
    const bytes = next.size ?? numberAt(header, 124, 12) ?? Infinity;
    if (begin + bytes > file.bytes) file.fail(at, 'the size of a member that ends in the file', String(bytes));
    at = begin + Math.ceil(bytes / BLOCK) * BLOCK;
    const type = String.fromCharCode(header[156]!);
    if (type === 'x' || type === 'L') {
      if (bytes > MAX_EXTENDED_BYTES) {
        file.fail(begin, `an extended header of at most ${MAX_EXTENDED_BYTES} bytes`, String(bytes));
      }
      const contents = file.read(begin, bytes);
      next = type === 'L' ? { ...next, path: text(contents) } : { ...next, ...parsePax(contents) };
      continue;
    }
    // Old writers mark regular files with 0 or 7; global headers, folders, links and others are passed over.
    if ('0\x007'.includes(type)) yield { name: next.path ?? nameIn(header), offset: begin, bytes };
    if (type !== 'g') next = {};
  }
}

/** Header and end mark of a tar file. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

/** Zeros after the contents of a member. */
export const tarPadding = (bytes: number): Buffer => Buffer.alloc(Math.ceil(bytes / BLOCK) * BLOCK - bytes);

/**
 * The ustar header of a regular file, the same bytes for the same arguments.
 * @throws HyperArcError E_RANGE for a name that does not fit: 100 bytes, and 155 more of folders.
 */
export function tarHeader(name: string, bytes: number): Buffer {
  const [folder, file] = splitName(name);
  const header = Buffer.alloc(BLOCK);
  const put = (value: string, at: number) => header.write(value, at, 'utf8');
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  put(file, 0);
  put(octal(0o644, 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(bytes, 11), 124);
  put(octal(0, 11), 136);
  put('        ', 148);
  put('0', 156);
  put('ustar\u000000', 257);
  put(folder, 345);
  put(`${octal(sumOf(header), 6)}\0 `, 148);
  return header;
}

function splitName(name: string): [string, string] {
  const bytes = (value: string) => Buffer.byteLength(value);
  if (bytes(name) <= 100) return ['', name];
  for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) {
    const [folder, file] = [name.slice(0, at), name.slice(at + 1)];
    if (bytes(folder) <= 155 && bytes(file) <= 100 && file !== '') return [folder, file];
  }
  throw new HyperArcError(
    'E_RANGE',
    `name: expected one that fits a tar header (100 bytes, and 155 of folders), received ${name}; give identity or image a shorter name`,
  );
}

/** Sum of a header's bytes, those of the sum itself taken as spaces. */
function sumOf(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]!;
  return sum;
}

const isIntact = (header: Buffer): boolean => numberAt(header, 148, 8) === sumOf(header);

/** Up to the first zero. */
function text(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

/** An octal number, or GNU's base-256 one; undefined for anything else. */
function numberAt(header: Buffer, at: number, length: number): number | undefined {
  if (header[at] === 0x80) {
    const value = header.subarray(at + 1, at + length).reduce((sum, byte) => 256 * sum + byte, 0);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const digits = text(header.subarray(at, at + length)).trim();
  return /^[0-7]+$/.test(digits) ? parseInt(digits, 8) : undefined;
}

function nameIn(header: Buffer): string {
  const name = text(header.subarray(0, 100));
  const isUstar = header.toString('latin1', 257, 262) === 'ustar' && header[262] === 0;
  const prefix = isUstar ? text(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Records `LENGTH KEY=VALUE\n`; what does not look like one ends the list. */
function parsePax(contents: Buffer): { path?: string; size?: number } {
  const found: { path?: string; size?: number } = {};
  for (let at = 0; at < contents.length;) {
    const space = contents.indexOf(0x20, at);
    const length = space === -1 || space - at > 10 ? NaN : Number(contents.toString('latin1', at, space));
    if (!Number.isInteger(length) || length < 1 || at + length > contents.length) break;
    const record = contents.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === 'path') found.path = value;
    if (key === 'size' && /^\d{1,15}$/.test(value)) found.size = Number(value);
    at += length;
  }
  return found;
}

class TarFile implements Disposable {
  readonly bytes: number;
  private readonly file: PartFile;
  private readonly ahead: ReadAhead;

  constructor(private readonly path: string) {
    this.file = new PartFile(path, 'tar file');
    this.ahead = new ReadAhead(this.file, WINDOW_BYTES);
    this.bytes = this.file.bytes;
  }

  read(at: number, length: number): Buffer {
    if (at + length > this.bytes) this.fail(at, `${length} bytes more, or two empty blocks`, 'the end of the file');
    return this.ahead.read(at, length);
  }

  fail(at: number, expected: string, received: string): never {
    const fix = 'the file is cut short, damaged or compressed';
    throw new HyperArcError(
      'E_FORMAT',
      `${this.path}: expected ${expected} at byte ${at}, received ${received}; ${fix}`,
    );
  }

  [Symbol.dispose](): void {
    this.file[Symbol.dispose]();
  }
}
