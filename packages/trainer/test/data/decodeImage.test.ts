import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../dist/data/index.js';
import { picture, put, temporaryFolder } from './fixtures.js';

const root = temporaryFolder();

describe('decodeImage', () => {
  it('gives the bytes of a lossless image of the wanted size', async () => {
    const png = await picture(3, 20, 'png');
    const expected = await sharp(png).raw().toBuffer();
    expect(Buffer.from(await decodeImage(png, 20))).toEqual(expected);
  });

  it('answers RGB for grey, transparent, 16-bit and CMYK images', async () => {
    const base = sharp(await picture(3, 20, 'png'));
    const variants = [
      await base.clone().greyscale().png().toBuffer(),
      await base.clone().ensureAlpha(0.5).png().toBuffer(),
      await base.clone().toColourspace('rgb16').png().toBuffer(),
      await base.clone().toColourspace('cmyk').jpeg().toBuffer(),
    ];
    for (const variant of variants) expect(await decodeImage(variant, 16)).toHaveLength(16 * 16 * 3);
  });

  it('turns an image as its EXIF orientation says', async () => {
    const upright = await picture(3, 16, 'png');
    const turned = await sharp(upright).withMetadata({ orientation: 3 }).png().toBuffer();
    const pixels = await decodeImage(turned, 16);
    const expected = await sharp(upright).rotate(180).raw().toBuffer();
    expect(Buffer.from(pixels)).toEqual(expected);
  });

  it('reads an image by its contents, not by its name', async () => {
    put(root, 'png.jpg', await picture(1, 16, 'png'));
    expect(await decodeImage(join(root, 'png.jpg'), 16)).toHaveLength(16 * 16 * 3);
  });

  it.each([0, 1, 2, 3, 20, 0.25, 0.5, 0.75, 0.9, 0.98])('refuses a JPEG cut to %s (bytes, or share of it) and names the file', async (length) => {
    const whole = await picture(2, 112);
    const name = `cut-${length}.jpg`;
    put(root, name, whole.subarray(0, length < 1 ? Math.floor(length * whole.length) : length));
    for (const size of [112, 32]) {
      await expect(decodeImage(join(root, name), size)).rejects.toMatchObject({ code: 'E_FORMAT', message: expect.stringContaining(name) });
    }
  });

  it('refuses a PNG cut short', async () => {
    const whole = await picture(2, 64, 'png');
    await expect(decodeImage(whole.subarray(0, whole.length / 2), 64)).rejects.toMatchObject({ code: 'E_FORMAT' });
  });

  it('names the formats of pictures that people have', async () => {
    const base = sharp(await picture(3, 16, 'png'));
    const files = {
      GIF: await base.clone().gif().toBuffer(),
      TIFF: await base.clone().tiff().toBuffer(),
      AVIF: await base.clone().avif().toBuffer(),
      HEIC: Buffer.from('\0\0\0\x18ftypheic\0\0\0\0', 'latin1'),
      BMP: Buffer.from('BM\x36\0\0\0', 'latin1'),
    };
    for (const [name, bytes] of Object.entries(files))
      await expect(decodeImage(bytes, 8)).rejects.toThrow(`expected a JPEG, PNG or WebP image, received ${name}; convert it to JPEG or PNG, or remove it`);
    const page = Buffer.from('<!DOCTYPE html><p>404');
    await expect(decodeImage(page, 8)).rejects.toThrow('received a web page; replace or remove it');
  });

  it('refuses other formats, even those that the library reads', async () => {
    put(root, 'drawing.jpg', '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>');
    put(root, 'zeros.jpg', new Uint8Array(4096));
    for (const name of ['drawing.jpg', 'zeros.jpg']) {
      await expect(decodeImage(join(root, name), 8)).rejects.toThrow(/expected a JPEG, PNG or WebP image, received other contents/);
    }
  });

  it('refuses an image that claims a huge size before decoding it', async () => {
    const png = await picture(1, 16, 'png');
    png.writeUInt32BE(60_000, 16);
    png.writeUInt32BE(60_000, 20);
    await expect(decodeImage(png, 16)).rejects.toMatchObject({ code: 'E_FORMAT' });
  });

  it('names a file that is not there', async () => {
    await expect(decodeImage(join(root, 'absent.jpg'), 8)).rejects.toMatchObject({ code: 'E_FORMAT', message: expect.stringContaining('absent.jpg') });
  });
});
