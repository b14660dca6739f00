import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { readSafetensors, writeSafetensors } from '../../dist/checkpoint/safetensors.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-safetensors-'));
  path = join(folder, 'x.safetensors');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const tensors = new Map([
  ['conv/kernel', { shape: [2, 3], values: Float32Array.of(1, -2, 3.5, NaN, -0, 1e-40) }],
  ['step', { shape: [], values: Int32Array.of(-7) }],
  ['empty', { shape: [0, 4], values: new Float32Array(0) }],
]);

function file(header: unknown, dataBytes: number, headerBytes?: bigint): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(headerBytes ?? BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, Buffer.alloc(dataBytes)]));
  return path;
}

describe('safetensors', () => {
  it('reads back every bit', () => {
    writeSafetensors(path, tensors);
    const read = readSafetensors(path);
    expect([...read.keys()].sort()).toEqual([...tensors.keys()].sort());
    for (const [name, { shape, values }] of tensors) {
      expect(read.get(name)!.shape).toEqual(shape);
      expect(Buffer.from(read.get(name)!.values.buffer)).toEqual(Buffer.from(values.buffer));
    }
  });

  it('lays the file out as the format says', () => {
    writeSafetensors(path, new Map([['a', { shape: [2], values: Float32Array.of(1, 2) }]]));
    const bytes = readFileSync(path);
    const headerBytes = Number(bytes.readBigUInt64LE());
    expect(headerBytes % 8).toBe(0);
    expect(JSON.parse(bytes.subarray(8, 8 + headerBytes).toString())).toEqual({
      a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
    });
    expect(bytes.readFloatLE(8 + headerBytes + 4)).toBe(2);
  });

  it('refuses values that do not fill the shape, and does not write over a file', () => {
    expect(() => writeSafetensors(path, new Map([['a', { shape: [3], values: new Float32Array(2) }]]))).toThrow(
      /E_SHAPE: a/,
    );
    writeSafetensors(path, tensors);
    expect(() => writeSafetensors(path, tensors)).toThrow(/EEXIST/);
  });

  it('refuses every truncation', () => {
    writeSafetensors(path, tensors);
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      expect(() => readSafetensors(path), `${length} bytes`).toThrow(/E_FORMAT/);
    }
  });

  const f32 = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => ({ dtype, shape, data_offsets: offsets });
  it.each([
    ['a header longer than the file', file.bind(null, '{}', 0, 1n << 62n)],
    ['no JSON', file.bind(null, '{"a":', 0)],
    ['no object', file.bind(null, '[]', 0)],
    ['an entry that is null', file.bind(null, { a: null }, 4)],
    ['another dtype', file.bind(null, { a: f32([1], [0, 4], 'F64') }, 4)],
    ['a negative size', file.bind(null, { a: f32([-1], [0, 4]) }, 4)],
    ['a shape of 2^80 elements', file.bind(null, { a: f32([2 ** 40, 2 ** 40], [0, 4]) }, 4)],
    ['offsets beyond the data', file.bind(null, { a: f32([2], [0, 8]) }, 4)],
    ['offsets in reverse', file.bind(null, { a: f32([1], [4, 0]) }, 4)],
    ['an overlap', file.bind(null, { a: f32([1], [0, 4]), b: f32([1], [0, 4]) }, 4)],
    ['a gap', file.bind(null, { a: f32([1], [0, 4]), b: f32([1], [8, 12]) }, 12)],
    ['data of no tensor', file.bind(null, { a: f32([1], [0, 4]) }, 8)],
  ])('refuses %s', (_, write) => {
    write();
    expect(() => readSafetensors(path)).toThrow(/E_FORMAT/);
  });
});
