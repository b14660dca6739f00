import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeImageRecord, encodeImageRecord } from '../../../dist/data/recordio/imageRecord.js';
import { encodeRecord, RecordFile, RECORD_MAGIC } from '../../../dist/data/recordio/recordFile.js';
import { temporaryFolder } from '../fixtures.js';

const VECTORS = join(import.meta.dirname, 'vectors');
const MAGIC = Buffer.from([0x0a, 0x23, 0xd7, 0xce]);

/** A file of these bytes. */
function file(bytes: Uint8Array): RecordFile {
  const path = join(temporaryFolder(), 'a.rec');
  writeFileSync(path, bytes);
  return new RecordFile(path);
}

describe('records', () => {
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.from('a')],
    ['four bytes', Buffer.from('abcd')],
    ['the magic alone', MAGIC],
    ['the magic twice', Buffer.concat([MAGIC, MAGIC])],
    [
      'the magic at the beginning, in the middle and at the end',
      Buffer.concat([MAGIC, Buffer.from('abcd'), MAGIC, MAGIC]),
    ],
    ['the magic where nothing is cut', Buffer.concat([Buffer.from('a'), MAGIC, Buffer.from('b')])],
    ['the magic in both places', Buffer.concat([Buffer.from('ab'), MAGIC, Buffer.from('cd'), MAGIC])],
  ])('are read as they were written: %s', (_, payload) => {
    const [one, other] = [encodeRecord(payload), encodeRecord(Buffer.from('other'))];
    expect(one.length % 4).toBe(0);
    // Whoever looks for the beginning of a record finds no other at a multiple of 4.
    const magics = Array.from({ length: one.length / 4 }, (_, i) => one.readUInt32LE(4 * i)).filter(
      (word) => word === RECORD_MAGIC,
    );
    expect(magics).toHaveLength(
      1 + payload.toString('latin1').split(MAGIC.toString('latin1')).length - 1 - misaligned(payload),
    );
    using records = file(Buffer.concat([one, other]));
    const { payload: read, next } = records.readAt(0);
    expect(read).toEqual(payload);
    expect(next).toBe(one.length);
    expect(records.readAt(next).payload.toString()).toBe('other');
    expect([...records.offsets()]).toEqual([0, one.length]);
  });

  it('are those of an independent writer, byte for byte', () => {
    const expected = readFileSync(join(VECTORS, 'faces.rec'));
    using records = new RecordFile(join(VECTORS, 'faces.rec'));
    const written = [...records.offsets()].map((offset) => encodeRecord(records.readAt(offset).payload));
    expect(written).toHaveLength(7);
    expect(Buffer.concat(written)).toEqual(expected);
  });

  it.each([
    ['a place within a record', (bytes: Buffer) => bytes, 4, /expected the magic 0xced7230a at byte 4, received 0x/],
    [
      'a place past the end',
      (bytes: Buffer) => bytes,
      1e9,
      /expected a record at byte 1000000000, received the end of the file/,
    ],
    [
      'a cut header',
      (bytes: Buffer) => bytes.subarray(0, 6),
      0,
      /expected a record at byte 0, received the end of the file/,
    ],
    [
      'a cut payload',
      (bytes: Buffer) => bytes.subarray(0, 40),
      0,
      /expected 126 bytes at byte 0, received 32 up to the end/,
    ],
    [
      'a length beyond the file',
      (bytes: Buffer) => bytes.fill(0x1f, 7, 8),
      0,
      /expected 520093822 bytes at byte 0, received 696/,
    ],
    [
      'a part without its beginning',
      (bytes: Buffer) => bytes.fill(0x40, 7, 8),
      0,
      /expected the beginning of a record at byte 0, received part 2/,
    ],
    [
      'a beginning without its end',
      (bytes: Buffer) => bytes.fill(0x20, 7, 8),
      0,
      /expected another part of the record at 0 at byte 136, received part/,
    ],
  ])('are refused: %s', (_, damage, offset, message) => {
    using records = file(damage(Buffer.from(readFileSync(join(VECTORS, 'faces.rec')))));
    expect(() => records.readAt(offset)).toThrow(message);
  });

  it('of 2^29 bytes are too long to be written', () => {
    expect(() => encodeRecord(Buffer.alloc(2 ** 29))).toThrow(
      /^E_RANGE: payload: expected fewer than 2\^29 bytes, received 536870912/,
    );
  });
});

/** How often the magic stands at other places than multiples of 4. */
function misaligned(payload: Buffer): number {
  let count = 0;
  for (let at = payload.indexOf(MAGIC); at !== -1; at = payload.indexOf(MAGIC, at + 1)) if (at % 4 !== 0) count++;
  return count;
}

describe('headers of images', () => {
  it('keep one label in the header, several after it', () => {
    const image = Buffer.from('image');
    for (const labels of [[7], [16777216], [3, 0.5], [1, 2, 3]]) {
      const encoded = encodeImageRecord(labels, 9n, image);
      expect(encoded.length).toBe(24 + (labels.length === 1 ? 0 : 4 * labels.length) + 5);
      expect(decodeImageRecord(encoded, 'a')).toEqual({ labels, id: 9n, image });
    }
  });

  it('are refused when the payload is too short for them', () => {
    expect(() => decodeImageRecord(Buffer.alloc(23), 'a.rec: record 3')).toThrow(
      /^E_FORMAT: a\.rec: record 3: expected an image header of 24 bytes, received a payload of 23 bytes/,
    );
    const many = encodeImageRecord([1, 2], 1n);
    many.writeUInt32LE(0xffffffff, 0);
    expect(() => decodeImageRecord(many, 'a')).toThrow(/expected 4294967295 labels after the header/);
  });
});
