import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import {
  openVerificationSet,
  openVerificationSets,
  parseVerificationBin,
  readVerificationBin,
} from '../../../dist/evaluate/index.js';
import { temporaryFolder } from '../../data/fixtures.js';
import { mutate, randomOf } from '../../pickle/mutate.js';

/** Written by make_bins.py: the same two pairs in every form that is met. */
const { sha256, same, files } = JSON.parse(readFileSync(new URL('./variants.json', import.meta.url), 'utf8')) as {
  sha256: string[];
  same: boolean[];
  files: Record<string, string>;
};
const bytesOf = (name: string) => Buffer.from(files[name]!, 'base64');

it.each(Object.keys(files))('reads %s', (name) => {
  const bin = parseVerificationBin(bytesOf(name), 'set.bin');
  expect(bin.images.map((image) => createHash('sha256').update(image).digest('hex'))).toEqual(sha256);
  expect(bin.same).toEqual(same);
});

const text = (value: string) => Buffer.from(value, 'latin1');
const PNG = 'C\x08\x89PNG\r\n\x1a\n';

it.each([
  ['an odd number of images', `](${PNG}${PNG}${PNG}e](\x88e\x86.`, /expected two images a pair, received 3 images/],
  ['another number of pairs', `](${PNG}${PNG}e](\x88\x89e\x86.`, /two images for each of .*2 images for 2 pairs/],
  ['no pair', `]]\x86.`, /one or more pairs, received 0 images for 0 pairs/],
  ['a list alone', `](${PNG}${PNG}e.`, /an encoded image|two lists|a list, received/],
  ['three lists', `]]]\x87.`, /a pickle of two lists.*received a list of 3/],
  ['a dict', `\x80\x02}.`, /a pickle of two lists, .*received Map/],
  [
    'an image of other bytes',
    `](${PNG}C\x03abce](\x88e\x86.`,
    /image 1 \(of pair 0\): .*JPEG, PNG or WebP image, received other contents/,
  ],
  ['an image that is a number', `](${PNG}K\x01e](\x88e\x86.`, /image 1 \(of pair 0\): .*as bytes, received number/],
  ['a label that is no bool', `](${PNG}${PNG}e](K\x02e\x86.`, /pair 0: expected True or False, received number/],
  ['code', `(cposix\nsystem\n(S'true'\ntRl.`, /a pickle that asks for code, "posix.system"; it is not run/],
  ['a JPEG', '\xff\xd8\xff\xe0', /a verification set \(a pickle\), received other contents/],
])('refuses %s', (_, contents, message) => {
  expect(() => parseVerificationBin(text(contents), 'set.bin')).toThrow(message);
  expect(() => parseVerificationBin(text(contents), 'set.bin')).toThrow(/^E_FORMAT: set\.bin/);
});

it('refuses a file cut short anywhere, one that is absent, and folds of one kind', () => {
  const whole = bytesOf('bytes, protocol 4');
  for (let length = 0; length < whole.length; length += 7) {
    expect(() => parseVerificationBin(whole.subarray(0, length), 'cut.bin')).toThrow(/^E_FORMAT: cut\.bin/);
  }
  const folder = temporaryFolder();
  const path = join(folder, 'few.bin');
  writeFileSync(path, whole);
  expect(() => openVerificationSet(path)).toThrow(
    /E_RANGE: .*few\.bin: 10 folds of 2 pairs: .*only same pairs in fold 0/,
  );
  expect(() => readVerificationBin(join(folder, 'none.bin'))).toThrow(/E_FORMAT: .*none\.bin: .*received ENOENT/);
  expect(() => openVerificationSets(['a/lfw.bin', 'b/lfw.bin'])).toThrow(
    /E_RANGE: sets: .*a\/lfw\.bin and b\/lfw\.bin/,
  );
});

it('names a damaged image of a set', async () => {
  const path = join(temporaryFolder(), 'damaged.bin');
  const bytes = readFileSync(new URL('./python3.bin', import.meta.url));
  // Within the compressed pixels of the third image.
  const at = bytes.indexOf('IDAT', bytes.indexOf('IDAT', bytes.indexOf('IDAT') + 1) + 1) + 60;
  bytes.fill(0x55, at, at + 20);
  writeFileSync(path, bytes);
  const set = openVerificationSet(path);
  await expect(set.load(['damaged/0', 'damaged/2'], 8)).rejects.toThrow(
    /E_FORMAT: .*damaged\.bin: image 2: .*damaged one/,
  );
  expect(await set.load(['damaged/0'], 8)).toHaveLength(192);
  await expect(set.load(['damaged/500'], 8)).rejects.toThrow(
    /E_RANGE: .*names of its 128 images, received damaged\/500/,
  );
});

it('10,000 damaged sets are read, or refused with E_FORMAT, in little memory', () => {
  const originals = Object.keys(files).map(bytesOf);
  const random = randomOf(21);
  const before = process.memoryUsage().rss;
  let refused = 0;
  for (let i = 0; i < 10_000; i++) {
    try {
      parseVerificationBin(mutate(originals[random(originals.length)]!, random), 'fuzz.bin');
    } catch (error) {
      if (!(error instanceof HyperArcError) || error.code !== 'E_FORMAT') throw error;
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(2000);
  expect(refused).toBeLessThan(10_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(400e6);
});
