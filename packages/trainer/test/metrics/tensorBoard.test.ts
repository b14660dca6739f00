import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { crc32c, maskedCrc32c } from '../../dist/metrics/crc32c.js';
import { TensorBoardWriter, tfRecord } from '../../dist/metrics/tensorBoard.js';

describe('crc32c', () => {
  // RFC 3720, B.4, and the check value of the CRC catalogue.
  it.each([
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    [Buffer.from('123456789'), 0xe3069283],
    [new Uint8Array(0), 0],
  ])('has the published value %#', (bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  it('masks as TensorFlow does', () => {
    // The first 12 bytes of every TFRecord of 24 data bytes: length 24, and its masked CRC a3 7f 4b 22.
    const length = Buffer.from('1800000000000000', 'hex');
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(maskedCrc32c(length));
    expect(bytes.toString('hex')).toBe('a37f4b22');
  });
});

interface Field {
  field: number;
  value: number | Buffer;
}

/** A reader of the wire format written from its specification, not from our writer. */
function readMessage(bytes: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return Number(value);
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const field = key >> 3;
    if ((key & 7) === 0) fields.push({ field, value: varint() });
    else if ((key & 7) === 1) fields.push({ field, value: bytes.readDoubleLE((at += 8) - 8) });
    else if ((key & 7) === 5) fields.push({ field, value: bytes.readFloatLE((at += 4) - 4) });
    else if ((key & 7) === 2) {
      const length = varint();
      fields.push({ field, value: bytes.subarray(at, (at += length)) });
    } else throw new Error(`wire type ${key & 7}`);
  }
  return fields;
}

function readRecords(file: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    expect(file.readUInt32LE(at + 8)).toBe(maskedCrc32c(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 12 + length)).toBe(maskedCrc32c(data));
    records.push(data);
    at += 16 + length;
  }
  return records;
}

const get = (message: Buffer, field: number): number | Buffer | undefined =>
  readMessage(message).find((entry) => entry.field === field)?.value;

describe('TensorBoardWriter', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hyperarc-events-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('writes a version event, then scalars that read back', () => {
    const writer = new TensorBoardWriter(folder, 0);
    writer.scalars(300, { 'train/loss': 1.5, 'train/lr': -0.25 });
    writer.close();
    const [first, second, ...rest] = readRecords(readFileSync(writer.path));
    expect(rest).toEqual([]);
    expect(String(get(first!, 3))).toBe('brain.Event:2');
    expect(get(second!, 2)).toBe(300);
    expect(Math.abs((get(second!, 1) as number) - Date.now() / 1000)).toBeLessThan(60);
    const values = readMessage(get(second!, 5) as Buffer).map(({ field, value }) => {
      expect(field).toBe(1);
      return [String(get(value as Buffer, 1)), get(value as Buffer, 2)];
    });
    expect(values).toEqual([
      ['train/loss', 1.5],
      ['train/lr', -0.25],
    ]);
  });

  it('marks the start of a resumed run, in a file of its own', () => {
    const writer = new TensorBoardWriter(folder, 70_000);
    writer.close();
    const start = readRecords(readFileSync(writer.path))[1]!;
    expect(get(start, 2)).toBe(70_000);
    expect(get(get(start, 7) as Buffer, 1)).toBe(1);
  });

  it('frames an empty record', () => {
    expect(readRecords(tfRecord(new Uint8Array(0)))).toEqual([Buffer.alloc(0)]);
  });
});
