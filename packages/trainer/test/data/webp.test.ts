import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import {
  checkDataset,
  convertDataset,
  decodeImage,
  loadImages,
  openDataset,
} from '../../dist/data/index.js';
import { decodeWhole } from '../../dist/data/align/warp.js';
import { encodeImageRecord } from '../../dist/data/recordio/imageRecord.js';
import { encodeRecord } from '../../dist/data/recordio/recordFile.js';
import { picture, put, temporaryFolder } from './fixtures.js';

/** Made by Pillow (make_webp.py): 37×23 pixels, NAME.png what it decodes NAME.webp to. */
const fixture = (file: string) => readFileSync(join(import.meta.dirname, 'webp', file));
const NAMES = ['lossy', 'lossless', 'lossy-transparent', 'lossless-transparent', 'turned'];

describe('WebP', () => {
  it.each(NAMES)('%s has the pixels of the independent reader, and is cut and resized as PNG is', async (name) => {
    const [webp, png] = [fixture(`${name}.webp`), fixture(`${name}.png`)];
    const expected = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    const whole = await decodeWhole(webp);
    expect([whole.width, whole.height]).toEqual([expected.info.width, expected.info.height]);
    expect(Buffer.from(whole.data)).toEqual(expected.data);
    expect(await decodeImage(webp, 23)).toEqual(await decodeImage(png, 23));
    // The middle of an uneven rest is rounded before the picture is turned.
    const tagged = sharp(fixture('lossless.png')).withMetadata({ orientation: 6 }).png();
    const alike = name === 'turned' ? await tagged.toBuffer() : png;
    for (const size of [16, 48]) expect(await decodeImage(webp, size)).toEqual(await decodeImage(alike, size));
  });

  it.each(NAMES)('%s cut short anywhere is refused by name', async (name) => {
    const whole = fixture(`${name}.webp`);
    for (let length = 0; length < whole.length; length += length < 64 ? 1 : 7) {
      await expect(decodeImage(whole.subarray(0, length), 16, 'cut.webp')).rejects.toMatchObject({
        code: 'E_FORMAT',
        message: expect.stringMatching(/^E_FORMAT: cut\.webp: expected .*; replace or remove/),
      });
    }
  });

  it('that moves is refused wherever a picture is read', async () => {
    const animated = fixture('animated.webp');
    const refusal = /expected a JPEG, PNG or WebP image, received an animated WebP; convert it to JPEG or PNG, or remove it/;
    await expect(decodeImage(animated, 16)).rejects.toThrow(refusal);
    await expect(decodeWhole(animated)).rejects.toThrow(refusal);
    const root = temporaryFolder();
    put(root, 'ann/moving.webp', animated);
    await expect(convertDataset(root, join(temporaryFolder(), 'new', 'faces.tar'))).rejects.toThrow(refusal);
    put(root, 'records/train.rec', encodeRecord(encodeImageRecord([0], 1n, animated)));
    await expect(openDataset(join(root, 'records', 'train.rec'))).rejects.toThrow(refusal);
  });

  it('that claims too many pixels is refused before it is decoded', async () => {
    const huge = Buffer.from(fixture('lossless.webp'));
    huge.writeUInt32LE((16_383 - 1) | ((16_383 - 1) << 14), 21); // 14 bits a side
    await expect(decodeImage(huge, 16)).rejects.toThrow(/exceeds pixel limit/);
  });

  it('is an image of folders, lists, shards and RecordIO, which have the same pixels', async () => {
    const work = temporaryFolder();
    const folder = join(work, 'faces');
    for (const [i, format] of (['jpeg', 'png', 'webp', 'webp'] as const).entries()) {
      put(folder, `id_${i % 2}/${i}.${format}`, await picture(i, 24, format));
    }
    await convertDataset(folder, join(work, 'shards', 'faces.tar'));
    await convertDataset(folder, join(work, 'records', 'train.rec'));
    const samples = ['id_0/0.jpeg', 'id_0/2.webp', 'id_1/1.png', 'id_1/3.webp'];
    put(work, 'list.txt', samples.map((path) => `faces/${path} ${path[3]}\n`).join(''));
    const expected = await loadImages(samples, 16, { root: folder, workers: 1 });
    for (const root of [folder, join(work, 'shards'), join(work, 'records'), join(work, 'list.txt')]) {
      const { labels, nameOf, locateName } = await openDataset(root);
      expect([...labels]).toEqual([0, 0, 1, 1]);
      const names = Array.from(labels, (_, i) => nameOf(i));
      expect(await loadImages(names, 16, { locate: locateName, workers: 1 })).toEqual(expected);
      if (root.endsWith('records')) expect(names[1]).toBe('00000000/000000002.webp');
    }
    const back = join(work, 'back');
    await convertDataset(join(work, 'records'), back);
    expect(readFileSync(join(back, '00000001/000000004.webp'))).toEqual(readFileSync(join(folder, 'id_1/3.webp')));
  });

  it('is told by its contents: hyperarc data check names files called otherwise', async () => {
    const root = temporaryFolder();
    put(root, 'a/right.webp', await picture(1, 24, 'webp'));
    put(root, 'a/webp.jpg', await picture(2, 24, 'webp'));
    put(root, 'a/jpeg.webp', await picture(3, 24, 'jpeg'));
    put(root, 'a/moving.webp', fixture('animated.webp'));
    const { findings } = await checkDataset(root);
    expect(findings.map(({ kind, paths }) => [kind, ...paths])).toEqual([
      ['damaged image', 'a/moving.webp'],
      ['wrong extension', 'a/jpeg.webp'],
      ['wrong extension', 'a/webp.jpg'],
    ]);
  });
});
