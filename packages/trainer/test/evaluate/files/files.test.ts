import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../../dist/data/keyedRandom.js';
import { readFeatureFile, writeFeatureFile } from '../../../dist/evaluate/files/featureFile.js';
import { forEachLine } from '../../../dist/evaluate/files/lines.js';
import { readNpy } from '../../../dist/evaluate/files/npy.js';
import { writeNpy } from '../../../dist/evaluate/files/writeNpy.js';

const reference = join(import.meta.dirname, '../reference/protocols');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const put = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

/** A .npy file with this header text. */
function npy(header: string, data: Uint8Array, major = 1): Uint8Array {
  const length = Buffer.alloc(major === 1 ? 2 : 4);
  if (major === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  return Buffer.concat([
    Buffer.from([0x93]),
    Buffer.from('NUMPY'),
    Buffer.from([major, 0]),
    length,
    Buffer.from(header),
    data,
  ]);
}
const bytes = (values: Float32Array | Float64Array) => new Uint8Array(values.buffer);

describe('readNpy', () => {
  it('reads what numpy.save wrote', () => {
    const { shape, values } = readNpy(join(reference, 'MegaFace/probes.npy'));
    expect(shape).toEqual([values.length / 8, 8]);
    expect(values.every(Number.isFinite)).toBe(true);
  });

  it.each([1, 2, 3])('reads format %i, float32 and float64', (major) => {
    const numbers = [1.5, -2, 3, 0.25, 1e-3, 7];
    const narrow = npy(
      "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }  \n",
      bytes(Float32Array.from(numbers)),
      major,
    );
    const wide = npy(
      "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n",
      bytes(Float64Array.from(numbers)),
      major,
    );
    expect(readNpy(put('a.npy', narrow))).toEqual({ shape: [3, 2], values: Float32Array.from(numbers) });
    expect(readNpy(put('b.npy', wide))).toEqual({ shape: [2, 3], values: Float32Array.from(numbers) });
  });

  it.each([
    ["{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2), }", 'dtype <f2'],
    ["{'descr': '|O', 'fortran_order': False, 'shape': (1, 2), }", 'dtype |O'],
    ["{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", 'Fortran order'],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 'shape (2,)'],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 1), }", 'shape (1, 2, 1)'],
    ["{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 2), }", 'the header'],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 'expected 2×2 numbers, received 8 bytes'],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 99999999999999), }", 'E_FORMAT'],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (0, 99999999999999999999), }", 'E_FORMAT'],
  ])('refuses %s', (header, message) => {
    const path = put('x.npy', npy(header, new Uint8Array(8)));
    expect(() => readNpy(path)).toThrow(message);
    expect(() => readNpy(path)).toThrow(path);
  });

  it('refuses or reads any damaged file, and allocates no more than the file has', () => {
    const whole = readFileSync(join(reference, 'MegaFace/probes.npy'));
    const random = new KeyedRandom(9, 1);
    let refused = 0;
    for (let i = 0; i < 2000; i++) {
      const damaged = Buffer.from(whole);
      // Most of a file is numbers, where any byte will do: damage the header.
      for (let n = random.integer(3); n >= 0; n--) damaged[random.integer(140)] = random.integer(256);
      const path = put(
        'damaged.npy',
        random.integer(4) === 0 ? damaged.subarray(0, random.integer(whole.length)) : damaged,
      );
      try {
        expect(readNpy(path).values.length).toBeLessThanOrEqual(whole.length / 4);
      } catch (error) {
        expect(error).toBeInstanceOf(HyperArcError);
        expect((error as HyperArcError).code).toBe('E_FORMAT');
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(700);
  });
});

describe('feature files', () => {
  const plain = { valuesND: Float32Array.of(1, 2, 3, 4, 5, 6), dim: 3 };

  it('come back as they were written, and replace what was there', () => {
    const path = put('kept.safetensors', 'old');
    for (const features of [{ plain }, { plain, mirrored: { valuesND: plain.valuesND.map((v) => -v), dim: 3 } }]) {
      writeFeatureFile(path, features);
      expect(readFeatureFile(path, 2, 'list')).toEqual(features);
    }
  });

  it('are refused for another list, another kind and other contents', () => {
    const path = join(folder, 'kept.safetensors');
    writeFeatureFile(path, { plain });
    expect(() => readFeatureFile(path, 3, 'faces.txt')).toThrow(
      'expected a row for each of the 3 lines of faces.txt, received 2',
    );
    writeFeatureFile(path, { plain, mirrored: { valuesND: plain.valuesND, dim: 2 } });
    expect(() => readFeatureFile(path, 2, 'list')).toThrow('E_SHAPE');
    expect(() => readFeatureFile(join(folder, 'none.npy'), 2, 'list')).toThrow(
      'none.npy: expected a file of features, found none',
    );
    expect(() => readFeatureFile(put('a.bin', 'x'), 2, 'list')).toThrow('expected a .npy or .safetensors file');
    const header = Buffer.from('{"weights":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} ');
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const other = put('b.safetensors', Buffer.concat([length, header, Buffer.alloc(4)]));
    expect(() => readFeatureFile(other, 2, 'list')).toThrow('expected a tensor "embeddings", received weights');
  });
});

describe('forEachLine', () => {
  const lines = (path: string) => {
    const seen: [number, string][] = [];
    forEachLine(path, (text, line) => seen.push([line, text]));
    return seen;
  };

  it('gives lines with their numbers, without ends, blank ones left out', () => {
    expect(lines(put('a', '\uFEFFone\r\n\n two\n   \nthree'))).toEqual([
      [1, 'one'],
      [3, ' two'],
      [5, 'three'],
    ]);
    expect(lines(put('b', ''))).toEqual([]);
  });

  it('loses nothing where a chunk ends', () => {
    const expected = Array.from({ length: 90_000 }, (_, i) => `line ${i * 7919} ${'é'.repeat(i % 13)}`);
    expect(lines(put('long', `${expected.join('\n')}\n`)).map(([, text]) => text)).toEqual(expected);
  });

  it('refuses what is no list', () => {
    expect(() => lines(put('c', `one\n${'x'.repeat(2_000_000)}`))).toThrow('c:2: expected lines of text, received');
    expect(() => lines(folder)).toThrow('expected a readable file, received EISDIR');
    expect(() => lines(join(folder, 'none'))).toThrow('expected a readable file, received ENOENT');
  });
});

describe('writeNpy', () => {
  it.each([
    [3, 2],
    [1, 512],
    [0, 7],
    [123_457, 1],
  ])('writes %i×%i numbers that are read back, the data at a multiple of 64 bytes', (rows, dim) => {
    const path = join(folder, 'w.npy');
    const valuesND = Float32Array.from({ length: rows * dim }, (_, i) => Math.sin(i));
    writeNpy(path, { valuesND, dim });
    expect(readNpy(path)).toEqual({ shape: [rows, dim], values: valuesND });
    const content = readFileSync(path);
    const dataStart = 10 + content.readUInt16LE(8);
    expect(dataStart % 64).toBe(0);
    expect(content.length).toBe(dataStart + valuesND.byteLength);
    expect(content[dataStart - 1]).toBe(0x0a);
  });

  it('writes the bytes that numpy.save writes', () => {
    const written = join(reference, 'MegaFace/probes.npy');
    const { shape, values } = readNpy(written);
    writeNpy(join(folder, 'w.npy'), { valuesND: values, dim: shape[1] });
    expect(readFileSync(join(folder, 'w.npy')).equals(readFileSync(written))).toBe(true);
  });

  it('refuses rows that are not whole', () => {
    expect(() => writeNpy(join(folder, 'w.npy'), { valuesND: new Float32Array(5), dim: 2 })).toThrow(
      /E_SHAPE: .*expected rows of 2 values, received 5 in all/,
    );
  });
});
