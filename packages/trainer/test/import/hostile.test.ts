import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { withStateDict } from '../../dist/import/stateDict.js';
import { readStoredZip } from '../../dist/import/storedZip.js';
import { mutate, randomOf } from '../pickle/mutate.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-hostile-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('10,000 damaged files are read, or refused with an error of ours, in little memory', async () => {
  const originals = ['small.pt', 'small_legacy.pt', 'small.safetensors', 'code.pt'].map((name) =>
    readFileSync(join(import.meta.dirname, 'vectors', name)),
  );
  const random = randomOf(23);
  const path = join(folder, 'w');
  const before = process.memoryUsage().rss;
  let refused = 0;
  for (let i = 0; i < 10_000; i++) {
    writeFileSync(path, mutate(originals[random(originals.length)]!, random));
    try {
      await withStateDict(path, ({ tensors }) => {
        for (const tensor of tensors.values()) if (tensor.dtype.includes('float')) tensor.read();
        return Promise.resolve();
      });
    } catch (error) {
      if (!(error instanceof HyperArcError) || error.code !== 'E_FORMAT') throw error;
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(5000);
  expect(refused).toBeLessThan(10_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(400e6);
}, 300_000);

interface Record {
  name: string;
  size: number;
  method?: number;
  flags?: number;
  position?: number;
  extra?: Buffer;
}

/** A zip archive of one stored file `x` of 100 bytes, and whatever its directory says. */
function zip(records: Record[], end: { entries?: number; bytes?: number; position?: number } = {}): Buffer {
  const local = Buffer.alloc(31 + 100, 'x');
  local.fill(0, 0, 30);
  local.writeUInt32LE(0x04034b50);
  local.writeUInt16LE(1, 26);
  const central = Buffer.concat(
    records.map(({ name, size, method = 0, flags = 0, position = 0, extra = Buffer.alloc(0) }) => {
      const record = Buffer.alloc(46);
      record.writeUInt32LE(0x02014b50);
      record.writeUInt16LE(flags, 8);
      record.writeUInt16LE(method, 10);
      record.writeUInt32LE(size, 20);
      record.writeUInt32LE(size, 24);
      record.writeUInt16LE(name.length, 28);
      record.writeUInt16LE(extra.length, 30);
      record.writeUInt32LE(position, 42);
      return Buffer.concat([record, Buffer.from(name), extra]);
    }),
  );
  const tail = Buffer.alloc(22);
  tail.writeUInt32LE(0x06054b50);
  tail.writeUInt16LE(end.entries ?? records.length, 10);
  tail.writeUInt32LE(end.bytes ?? central.length, 12);
  tail.writeUInt32LE(end.position ?? local.length, 16);
  return Buffer.concat([local, central, tail]);
}

describe('zip archives', () => {
  function read(bytes: Buffer): string[] {
    const path = join(folder, 'a.zip');
    writeFileSync(path, bytes);
    const file = openSync(path, 'r');
    try {
      return [...readStoredZip(file, path).values()].map((entry) => Buffer.from(entry.read()).toString());
    } finally {
      closeSync(file);
    }
  }
  const one = { name: 'x', size: 100 };
  const zip64 = (...values: bigint[]) => {
    const extra = Buffer.alloc(4 + 8 * values.length);
    extra.writeUInt16LE(1);
    extra.writeUInt16LE(8 * values.length, 2);
    values.forEach((value, i) => extra.writeBigUInt64LE(value, 4 + 8 * i));
    return extra;
  };

  it('of stored files are read, sizes of zip64 too', () => {
    expect(read(zip([one]))).toEqual(['x'.repeat(100)]);
    expect(read(zip([{ name: 'x', size: 0xffffffff, extra: zip64(100n, 100n) }]))).toEqual(['x'.repeat(100)]);
  });

  it.each<[string, Buffer, RegExp]>([
    [
      'bombs of files that overlap',
      zip(Array.from({ length: 50 }, (_, i) => ({ name: `${i}`, size: 100 }))),
      /more: a zip bomb/,
    ],
    ['compressed files', zip([{ ...one, method: 8 }]), /received a compressed or encrypted one/],
    ['encrypted files', zip([{ ...one, flags: 1 }]), /received a compressed or encrypted one/],
    [
      'files twice',
      zip([
        { ...one, size: 10 },
        { ...one, size: 10 },
      ]),
      /each file once/,
    ],
    ['sizes past the end', zip([{ name: 'x', size: 0xffffffff, extra: zip64(2n ** 60n, 2n ** 60n) }]), /a zip bomb/],
    ['no sizes of zip64', zip([{ name: 'x', size: 0xffffffff }]), /sizes in a zip64 extra field/],
    ['places past the end', zip([{ ...one, position: 5000 }]), /x within the zip archive/],
    ['places of something else', zip([{ ...one, position: 1 }]), /x where the directory says/],
    ['more records than there are', zip([one], { entries: 9 }), /expected 9 files in the zip archive, received 1/],
    ['a directory past the end', zip([one], { bytes: 0xfffffff0 }), /the central directory within/],
    ['a directory elsewhere', zip([one], { position: 0 }), /a record of the zip directory/],
  ])('of %s are refused', (_what, bytes, message) => {
    expect(() => read(bytes)).toThrow(message);
  });
});
