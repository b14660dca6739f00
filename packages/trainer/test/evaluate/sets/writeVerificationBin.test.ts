import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { openVerificationSet, readVerificationBin, writeVerificationBin } from '../../../dist/evaluate/index.js';
import { imageFolder, picture, put, temporaryFolder } from '../../data/fixtures.js';

const SIDE = 16;
const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** As arcface_torch opens a set, and what it needs of it: bytes and bools. */
const READER = `
import hashlib, json, pickle, sys
with open(sys.argv[1], 'rb') as f:
    bins, issame_list = pickle.load(f)
assert type(bins) is list and type(issame_list) is list and len(bins) == 2 * len(issame_list)
assert all(type(image) is bytes for image in bins) and all(type(same) is bool for same in issame_list)
print(json.dumps([[hashlib.sha256(image).hexdigest() for image in bins], issame_list]))
`;

/** Twenty pairs of two people, in folds of two: list out of order. */
const pairs = Array.from({ length: 20 }, (_, i) => ({
  a: `person_0/${i % 3}.jpg`,
  b: i % 2 === 0 ? `person_0/${(i + 1) % 3}.jpg` : `person_1/${i % 3}.jpg`,
  same: i % 2 === 0,
  fold: Math.floor(i / 2),
}));

it('writes what Python 3, and so arcface_torch, loads: the files byte for byte, in the order of the folds', async () => {
  const root = await imageFolder(2, 3, SIDE);
  const out = join(temporaryFolder(), 'mine.bin');
  const warnings: string[] = [];
  const result = await writeVerificationBin(out, root, [...pairs.slice(10), ...pairs.slice(0, 10)], {
    size: SIDE,
    onWarning: (message) => warnings.push(message),
  });
  expect(result).toEqual({ pairs: 20, samePairs: 10, images: 6, resized: 0 });
  expect(warnings).toEqual([]);
  const hashes = pairs.flatMap(({ a, b }) => [a, b]).map((path) => sha(readFileSync(join(root, path))));
  const loaded: unknown = JSON.parse(execFileSync('python3', ['-c', READER, out], { encoding: 'utf8' }));
  expect(loaded).toEqual([hashes, pairs.map(({ same }) => same)]);
  const set = openVerificationSet(out);
  expect(readVerificationBin(out).images.map(sha)).toEqual(hashes);
  expect(set.pairs.map(({ same, fold }) => [same, fold])).toEqual(pairs.map(({ same, fold }) => [same, fold]));
});

it('writes more images than one batch of a pickle holds', async () => {
  const root = await imageFolder(2, 3, SIDE);
  const out = join(temporaryFolder(), 'many.bin');
  const many = Array.from({ length: 60 }, (_, i) => pairs.map((pair) => ({ ...pair, fold: Math.floor(i / 6) }))).flat();
  await writeVerificationBin(out, root, many, { size: SIDE });
  const loaded = JSON.parse(execFileSync('python3', ['-c', READER, out], { encoding: 'utf8' })) as [
    string[],
    boolean[],
  ];
  expect(loaded[1]).toEqual(many.map(({ same }) => same));
  expect(loaded[0]).toEqual(readVerificationBin(out).images.map(sha));
});

it('cuts and resizes other images, without loss from there', async () => {
  const root = temporaryFolder();
  const wide = await sharp(await picture(1, 40))
    .extend({ left: 20, right: 20 })
    .png()
    .toBuffer();
  put(root, 'a.png', wide);
  put(root, 'b.jpg', await picture(2, SIDE));
  const out = join(temporaryFolder(), 'resized.bin');
  const warnings: string[] = [];
  const two = [true, false].map((same) => ({ a: 'a.png', b: 'b.jpg', same, fold: 0 }));
  const result = await writeVerificationBin(out, root, two, { size: SIDE, onWarning: (text) => warnings.push(text) });
  expect(result).toMatchObject({ images: 2, resized: 1 });
  expect(warnings).toEqual([
    expect.stringMatching(/in InsightFace's 10 folds this set cannot be verified: .*only same pairs/),
  ]);
  const [first, second] = readVerificationBin(out).images;
  expect(await sharp(first).metadata()).toMatchObject({ format: 'png', width: SIDE, height: SIDE });
  const square = await sharp(wide).resize(SIDE, SIDE, { fit: 'cover' }).removeAlpha().raw().toBuffer();
  expect(await sharp(first).raw().toBuffer()).toEqual(square);
  expect(sha(second!)).toBe(sha(readFileSync(join(root, 'b.jpg'))));
});

it('writes WebP as PNG of the same pixels, which every reader takes', async () => {
  const root = temporaryFolder();
  for (const number of [1, 2]) put(root, `${number}.webp`, await picture(number, SIDE, 'webp'));
  const out = join(temporaryFolder(), 'webp.bin');
  const two = [true, false].map((same) => ({ a: '1.webp', b: '2.webp', same, fold: 0 }));
  expect(await writeVerificationBin(out, root, two, { size: SIDE })).toMatchObject({ images: 2, resized: 0 });
  const [first] = readVerificationBin(out).images;
  expect(await sharp(first).metadata()).toMatchObject({ format: 'png' });
  expect(await sharp(first).raw().toBuffer()).toEqual(await sharp(join(root, '1.webp')).raw().toBuffer());
});

it('warns of folds that InsightFace does not have; keeps nothing of what failed', async () => {
  const root = await imageFolder(2, 3, SIDE);
  const folder = temporaryFolder();
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message);
  const uneven = pairs.map((pair, i) => ({ ...pair, fold: i < 3 ? 0 : 1 + Math.floor(i / 3) }));
  await writeVerificationBin(join(folder, 'uneven.bin'), root, uneven, { size: SIDE, onWarning });
  expect(warnings).toEqual([expect.stringContaining("the list's folds are not 10 of equal size")]);
  const absent = [...pairs.slice(1), { a: 'person_0/0.jpg', b: 'gone.jpg', same: true, fold: 9 }];
  const failed = join(folder, 'failed.bin');
  await expect(writeVerificationBin(failed, root, absent, { size: SIDE })).rejects.toThrow(/E_FORMAT: .*gone\.jpg/);
  await expect(writeVerificationBin(failed, root, pairs, { size: 4 })).rejects.toThrow(/E_RANGE: size/);
  await expect(writeVerificationBin(failed, root, [], {})).rejects.toThrow(/E_RANGE: pairs/);
  expect(readdirSync(folder)).toEqual(['uneven.bin']);
});
