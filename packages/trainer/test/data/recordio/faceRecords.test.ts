import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { describe, expect, it } from 'vitest';
import { faceRecords } from '../../../dist/data/recordio/faceRecords.js';
import { encodeImageRecord } from '../../../dist/data/recordio/imageRecord.js';
import { encodeRecord } from '../../../dist/data/recordio/recordFile.js';
import { temporaryFolder } from '../fixtures.js';

const VECTORS = join(import.meta.dirname, 'vectors');
const image = (number: number) => readFileSync(join(VECTORS, `${number}.png`));

/** A copy of the vectors that may be damaged. */
function copy(): string {
  const folder = temporaryFolder();
  for (const name of ['faces.rec', 'faces.idx']) cpSync(join(VECTORS, name), join(folder, name));
  return folder;
}

describe('images of a RecordIO dataset', () => {
  const expected = [1, 2, 3, 4].map((key) => ({ key, label: key < 3 ? 0 : 2, image: image(key) }));

  it('are those that an independent writer put there: by the index, whose header leaves identities out', () => {
    expect([...faceRecords(join(VECTORS, 'faces.rec'))]).toEqual(expected);
  });

  it('are found without an index, which is said', () => {
    const folder = copy();
    rmSync(join(folder, 'faces.idx'));
    const warnings: string[] = [];
    const found = [...faceRecords(join(folder, 'faces.rec'), (message) => warnings.push(message))];
    expect(found.map(({ label, image }) => ({ label, image }))).toEqual(
      expected.map(({ label, image }) => ({ label, image })),
    );
    expect(warnings).toEqual([expect.stringContaining('faces.idx is not there')]);
  });

  it('are all records where no header says otherwise', () => {
    const folder = temporaryFolder();
    const records = [5, 6].map((label, i) => encodeRecord(encodeImageRecord([label], BigInt(i), image(i + 1))));
    writeFileSync(join(folder, 'a.rec'), Buffer.concat(records));
    writeFileSync(join(folder, 'a.idx'), `0\t0\n1\t${records[0]!.length}\n`);
    expect([...faceRecords(join(folder, 'a.rec'))].map(({ key, label }) => [key, label])).toEqual([
      [0, 5],
      [1, 6],
    ]);
  });

  it.each<[string, (folder: string) => void, RegExp]>([
    ['no file', (folder) => rmSync(join(folder, 'faces.rec')), /expected a readable RecordIO file, received ENOENT/],
    [
      'an empty file',
      (folder) => truncateSync(join(folder, 'faces.rec')),
      /faces\.rec: expected records, received an empty file/,
    ],
    [
      'a file cut short',
      (folder) => truncateSync(join(folder, 'faces.rec'), 500),
      /faces\.rec: expected a record at byte 584, received the end/,
    ],
    [
      'a line that is no entry',
      (folder) => writeFileSync(join(folder, 'faces.idx'), '1\t0\nx\n'),
      /faces\.idx: expected key<TAB>offset in line 2, received "x"/,
    ],
    [
      'a key twice',
      (folder) => writeFileSync(join(folder, 'faces.idx'), '1\t0\n1\t136\n'),
      /faces\.idx: expected each key once, received 1 twice/,
    ],
    [
      'an index cut short',
      (folder) => writeFileSync(join(folder, 'faces.idx'), '1\t0\n0\t584\n'),
      /faces\.idx: expected the 4 images that record 0 of .* speaks of, received 1/,
    ],
    [
      'an index of another file',
      (folder) => writeFileSync(join(folder, 'faces.idx'), '1\t4\n'),
      /expected the magic .* at byte 4.*its index is another file's/,
    ],
    [
      'an identity among images',
      (folder) => writeFileSync(join(folder, 'faces.idx'), '1\t0\n5\t624\n'),
      /record 5: expected an image, received none/,
    ],
    [
      'a label of no identity',
      (folder) => {
        writeFileSync(join(folder, 'faces.rec'), encodeRecord(encodeImageRecord([NaN], 1n, image(1))));
        writeFileSync(join(folder, 'faces.idx'), '1\t0\r\n');
      },
      /record 1: expected a whole number ≥ 0 as label, received NaN/,
    ],
  ])('are refused with %s', (_, damage, message) => {
    const folder = copy();
    damage(folder);
    expect(() => [...faceRecords(join(folder, 'faces.rec'))]).toThrow(message);
  });

  it.each([
    ['faces.rec', 7500],
    ['faces.idx', 2500],
  ])('answer any damage of %s, %i of them, with images or with E_FORMAT', { timeout: 240_000 }, (name, count) => {
    const folder = copy();
    const [path, records] = [join(folder, name), join(folder, 'faces.rec')];
    const whole = readFileSync(path);
    const longest = readFileSync(records).length;
    let state = 1;
    // The high bits: the low ones of such a generator repeat soon.
    const below = (n: number) => Math.floor(((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32) * n);
    let refused = 0;
    for (let i = 0; i < count; i++) {
      const bytes = Buffer.from(whole);
      for (let flips = 1 + below(3); flips > 0; flips--) bytes[below(bytes.length)]! ^= 1 << below(8);
      writeFileSync(path, below(5) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes);
      try {
        for (const { image } of faceRecords(records))
          if (image.length >= longest) throw new Error('an image longer than the file');
      } catch (error) {
        if (!(error instanceof HyperArcError) || error.code !== 'E_FORMAT') throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(count / 5);
    expect(refused).toBeLessThanOrEqual(count);
  });
});
