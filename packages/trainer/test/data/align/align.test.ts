import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import {
  ARCFACE_TEMPLATE,
  arcFaceTemplate,
  invertAffine,
  similarityTransform,
  transformPoint,
  type AffineMatrix,
  type Point,
} from '../../../dist/data/align/similarity.js';
import { alignFace, decodeWhole, warpAffine } from '../../../dist/data/align/warp.js';

interface Expected {
  similarities: { name: string; from: Point[]; matrix: number[] }[];
  image: { width: number; height: number; data: string };
  warps: { name: string; matrix: AffineMatrix; width: number; height: number; exact: number[]; opencv?: string }[];
}
const expected = JSON.parse(
  readFileSync(new URL('reference/expected.json', import.meta.url), 'utf8'),
) as Expected;
const image = { ...expected.image, data: new Uint8Array(Buffer.from(expected.image.data, 'base64')) };

describe('similarityTransform', () => {
  it.each(expected.similarities)('$name: is the transform of Umeyama with a decomposition', ({ from, matrix }) => {
    similarityTransform(from).forEach((value, i) => expect(value).toBeCloseTo(matrix[i]!, 8));
  });

  it('moves landmarks that are a similar figure onto the template', () => {
    const landmarks = ARCFACE_TEMPLATE.map(([x, y]): Point => [0.6 * x - 0.8 * y + 300, 0.8 * x + 0.6 * y - 20]);
    const matrix = similarityTransform(landmarks);
    const back = invertAffine(matrix);
    landmarks.forEach((point, i) => {
      const moved = transformPoint(matrix, point);
      moved.forEach((value, axis) => expect(value).toBeCloseTo(ARCFACE_TEMPLATE[i]![axis]!, 9));
      transformPoint(back, moved).forEach((value, axis) => expect(value).toBeCloseTo(point[axis]!, 9));
    });
  });

  it('scales the template with the image', () => {
    expect(arcFaceTemplate()).toEqual(ARCFACE_TEMPLATE);
    expect(arcFaceTemplate(224)[4]).toEqual([2 * 70.7299, 2 * 92.2041]);
    expect(() => arcFaceTemplate(0)).toThrow('E_RANGE: size: expected a whole number');
  });

  it('refuses landmarks that tell no pose', () => {
    const one: Point = [40, 50];
    expect(() => similarityTransform([one, one, one, one, one])).toThrow('E_RANGE: from: expected points in different');
    expect(() => similarityTransform([one])).toThrow('E_SHAPE: from: expected 5 points, received 1');
    expect(() => similarityTransform([one, one, one, one, [NaN, 0]])).toThrow('E_NONFINITE: from');
    expect(() => invertAffine([1, 1, 0, 1, 1, 0])).toThrow('E_RANGE: matrix');
  });
});

describe('warpAffine', () => {
  it.each(expected.warps)('$name: is the bilinear sum, to the byte', ({ matrix, width, height, exact }) => {
    const warped = warpAffine(image, matrix, width, height);
    expect(warped.length).toBe(exact.length);
    warped.forEach((value, i) => expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(0.5001));
  });

  it.each(expected.warps.filter(({ opencv }) => opencv !== undefined))(
    '$name: is what OpenCV 5 answers, but for the rounding of a half',
    ({ matrix, width, height, opencv }) => {
      const warped = warpAffine(image, matrix, width, height);
      new Uint8Array(Buffer.from(opencv!, 'base64')).forEach((value, i) =>
        expect(Math.abs(warped[i]! - value)).toBeLessThanOrEqual(1),
      );
    },
  );

  it('refuses images of other lengths and sizes', () => {
    const whole: AffineMatrix = [1, 0, 0, 0, 1, 0];
    expect(() => warpAffine({ ...image, width: 5 }, whole, 4)).toThrow('E_SHAPE: image: expected 5×19×3 bytes');
    expect(() => warpAffine(image, whole, 0)).toThrow('E_RANGE: size');
    expect(() => warpAffine(image, [0, 0, 0, 0, 0, 0], 4)).toThrow('E_RANGE: matrix');
  });
});

describe('alignFace', () => {
  it('puts marks at the landmarks of a decoded image where the template has them', async () => {
    const landmarks: Point[] = ARCFACE_TEMPLATE.map(([x, y]) => [Math.round(180 - y * 1.2), Math.round(20 + x * 1.2)]);
    const pixels = Buffer.alloc(200 * 160 * 3);
    for (const [x, y] of landmarks) {
      for (let dy = -3; dy <= 3; dy++) pixels.fill(255, 3 * ((y + dy) * 200 + x - 3), 3 * ((y + dy) * 200 + x + 4));
    }
    const png = await sharp(pixels, { raw: { width: 200, height: 160, channels: 3 } }).png().toBuffer();
    const aligned = alignFace(await decodeWhole(png), landmarks);
    for (const [x, y] of ARCFACE_TEMPLATE) expect(aligned[3 * (Math.round(y) * 112 + Math.round(x))]).toBe(255);
    expect(aligned[3 * (10 * 112 + 56)]).toBe(0);
  });

  it('names an image that cannot be decoded', async () => {
    await expect(decodeWhole(new Uint8Array(0), 'a.jpg')).rejects.toThrow('E_FORMAT: a.jpg: expected a JPEG, PNG or WebP image, received an empty file');
    await expect(decodeWhole(Buffer.from([0xff, 0xd8, 0xff, 1]), 'b.jpg')).rejects.toThrow('E_FORMAT: b.jpg: expected a whole image');
  });

  it('turns an image as its EXIF says, and makes colours of grey', async () => {
    const grey = await sharp(Buffer.from([10, 20]), { raw: { width: 2, height: 1, channels: 1 } }).withMetadata({ orientation: 6 }).png().toBuffer();
    expect(await decodeWhole(grey)).toMatchObject({ width: 1, height: 2, data: Buffer.from([10, 10, 10, 20, 20, 20]) });
  });
});
