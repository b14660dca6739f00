import { fstatSync } from 'node:fs';
import { crc32 } from 'node:zlib';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { readAll } from '../checkpoint/safetensors.js';

/** One file of a zip archive. */
export interface ZipEntry {
  readonly bytes: number;
  /** @throws HyperArcError E_FORMAT if it is damaged. */
  read(): Uint8Array;
}

/** Signatures and sizes of PKWARE's APPNOTE.TXT 6.3, sections 4.3.7 to 4.3.16. */
const LOCAL = { signature: 0x04034b50, bytes: 30 };
const CENTRAL = { signature: 0x02014b50, bytes: 46 };
const END = { signature: 0x06054b50, bytes: 22 };
const END64 = { signature: 0x06064b50, bytes: 56 };
const LOCATOR64 = { signature: 0x07064b50, bytes: 20 };
const ZIP64_EXTRA = 1;
const MAX_COMMENT = 0xffff;
const IN_ZIP64 = 0xffffffff;
const ENCRYPTED = 1;

interface Directory {
  readonly entries: number;
  readonly bytes: number;
  readonly position: number;
}

interface Archive {
  readonly file: number;
  readonly path: string;
  readonly bytes: number;
}

function refuse({ path }: Archive, expected: string, received: string): never {
  throw new HyperArcError('E_FORMAT', `${path}: expected ${expected}, received ${received}`);
}

function readAt(archive: Archive, position: number, length: number, what: string): Buffer {
  if (position + length > archive.bytes)
    refuse(archive, `${what} within the zip archive`, 'one that lies past its end');
  const bytes = Buffer.alloc(length);
  readAll(archive.file, bytes, position, archive.path);
  return bytes;
}

/** A u64; beyond 2⁵³ it comes out rounded, which is past the end of any file either way. */
const u64 = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));

/** Finds the end record, which stands before a comment of any length at the end of the file, and what it says of the central directory. */
function findDirectory(archive: Archive): Directory {
  const length = Math.min(archive.bytes, END.bytes + MAX_COMMENT + LOCATOR64.bytes);
  const start = archive.bytes - length;
  const tail = readAt(archive, start, length, 'the end record');
  for (let at = length - END.bytes; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== END.signature || at + END.bytes + tail.readUInt16LE(at + 20) !== length) continue;
    const locator = at - LOCATOR64.bytes;
    if (locator >= 0 && tail.readUInt32LE(locator) === LOCATOR64.signature) {
      const position = u64(tail, locator + 8);
      const end = readAt(archive, position, END64.bytes, 'the zip64 end record');
      if (end.readUInt32LE(0) !== END64.signature) refuse(archive, 'a zip64 end record', 'other bytes');
      return { entries: u64(end, 32), bytes: u64(end, 40), position: u64(end, 48) };
    }
    return {
      entries: tail.readUInt16LE(at + 10),
      bytes: tail.readUInt32LE(at + 12),
      position: tail.readUInt32LE(at + 16),
    };
  }
  return refuse(archive, 'a zip archive', 'none: its end record is missing; the file may be cut short');
}

/** Sizes and place of an entry, from the zip64 extra field where they do not fit. */
function sizesOf(
  archive: Archive,
  record: Buffer,
  extra: Buffer,
): [compressed: number, bytes: number, position: number] {
  const short = [record.readUInt32LE(24), record.readUInt32LE(20), record.readUInt32LE(42)];
  let wide: Buffer = Buffer.alloc(0);
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === ZIP64_EXTRA) wide = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
  }
  let next = 0;
  const [bytes, compressed, position] = short.map((value) => {
    if (value !== IN_ZIP64) return value;
    if (next + 8 > wide.length) refuse(archive, 'sizes in a zip64 extra field', 'too few');
    next += 8;
    return u64(wide, next - 8);
  });
  return [compressed!, bytes!, position!];
}

function readEntry(archive: Archive, name: string, position: number, bytes: number, crc: number): Uint8Array {
  const local = readAt(archive, position, LOCAL.bytes, name);
  if (local.readUInt32LE(0) !== LOCAL.signature) refuse(archive, `${name} where the directory says`, 'other bytes');
  const start = position + LOCAL.bytes + local.readUInt16LE(26) + local.readUInt16LE(28);
  const content = readAt(archive, start, bytes, name);
  // PyTorch can be told to leave the checksums out, as zeros.
  if (crc !== 0 && crc32(content) !== crc) {
    refuse(archive, `${name} as it was written`, 'other bytes (CRC-32 differs); the file is damaged');
  }
  return content;
}

/**
 * The files of an open zip archive that compresses nothing, as PyTorch writes it. The bytes are not trusted: nothing is allocated that is
 * larger than the archive, and archives whose files together are larger than it (zip bombs) are refused.
 * @throws HyperArcError E_FORMAT naming what does not fit.
 */
export function readStoredZip(file: number, path: string): Map<string, ZipEntry> {
  const archive = { file, path, bytes: fstatSync(file).size };
  const directory = findDirectory(archive);
  const central = readAt(archive, directory.position, directory.bytes, 'the central directory');
  const entries = new Map<string, ZipEntry>();
  let [at, total] = [0, 0];
  for (let i = 0; i < directory.entries; i++) {
    if (at + CENTRAL.bytes > central.length) refuse(archive, `${directory.entries} files in the zip archive`, `${i}`);
    const record = central.subarray(at, at + CENTRAL.bytes);
    if (record.readUInt32LE(0) !== CENTRAL.signature) refuse(archive, 'a record of the zip directory', 'other bytes');
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((place) => record.readUInt16LE(place)) as [
      number,
      number,
      number,
    ];
    const fields = at + CENTRAL.bytes;
    at = fields + nameBytes + extraBytes + commentBytes;
    if (at > central.length) refuse(archive, 'whole records in the zip directory', 'one that is cut short');
    const name = central.toString('utf8', fields, fields + nameBytes);
    const extra = central.subarray(fields + nameBytes, fields + nameBytes + extraBytes);
    const [compressed, bytes, position] = sizesOf(archive, record, extra);
    if (record.readUInt16LE(10) !== 0 || compressed !== bytes || record.readUInt16LE(8) & ENCRYPTED) {
      refuse(archive, 'files stored plainly, as torch.save writes them', 'a compressed or encrypted one');
    }
    total += bytes;
    if (total > archive.bytes) refuse(archive, `files of at most ${archive.bytes} bytes together`, 'more: a zip bomb');
    if (entries.has(name)) refuse(archive, 'each file once', `${JSON.stringify(name.slice(0, 80))} twice`);
    const crc = record.readUInt32LE(16);
    entries.set(name, { bytes, read: () => readEntry(archive, name, position, bytes, crc) });
  }
  return entries;
}
