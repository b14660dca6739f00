import { crc32 } from 'node:zlib';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { main } from '../../../dist/cli/main.js';
import { alignDataset } from '../../../dist/data/align/alignDataset.js';
import type { Point } from '../../../dist/data/align/similarity.js';
import { alignFace, decodeWhole } from '../../../dist/data/align/warp.js';
import { alignPhotos, type AlignPhotosOptions } from '../../../dist/data/detect/alignPhotos.js';
import { chooseFace, isUsable } from '../../../dist/data/detect/chooseFace.js';
import type { Face } from '../../../dist/data/detect/face.js';
import { put, temporaryFolder } from '../fixtures.js';
import { paintedDetector } from './paintedDetector.js';
import { landmarksOf, offBy, paint, type PaintedFace } from './paintedFaces.js';

const large: PaintedFace = { x: 32, y: 64, side: 32, green: 150, blue: 100 };
const sure: PaintedFace = { x: 192, y: 96, side: 32, green: 110, blue: 150 };
const turned: PaintedFace = { x: 160, y: 128, side: 32, green: 200, blue: 20 };

let photos: string;
let detector: string;
beforeAll(async () => {
  photos = temporaryFolder();
  detector = join(temporaryFolder(), 'scrfd.onnx');
  put(join(detector, '..'), 'scrfd.onnx', paintedDetector('scrfd'));
  put(photos, 'ann/0.png', await paint(320, 256, [turned]).png().toBuffer());
  // Twice the size of the detector's input.
  const twice = { ...sure, x: 2 * sure.x, y: 2 * sure.y, side: 64 };
  put(
    photos,
    'ann/deep/1.jpg',
    await paint(640, 512, [twice]).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
  );
  put(photos, 'bob/two.png', await paint(320, 256, [large, sure]).png().toBuffer());
  put(photos, 'bob/none.png', await paint(320, 256, []).png().toBuffer());
  put(photos, 'bob/notes.txt', 'of these photographs');
});
const target = () => join(temporaryFolder(), 'aligned');
const align = (to: string, options: Partial<AlignPhotosOptions> = {}, from = photos) =>
  alignPhotos(from, to, { detector, detectorSize: 320, format: 'png', ...options });
const report = (to: string) => JSON.parse(readFileSync(join(to, 'detection.json'), 'utf8')) as Record<string, unknown>;
const pixels = async (path: string) => (await decodeWhole(path)).data;
const largestDifference = (a: Uint8Array, b: Uint8Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
interface SavedRow {
  path: string;
  kps: Point[];
  faces: number;
}
const rowsOf = (list: string) =>
  readFileSync(list, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as SavedRow);

describe('alignPhotos', () => {
  it('cuts out what the true landmarks cut out, and lists the photographs without a face', async () => {
    const to = target();
    const [warnings, stages, descriptions]: string[][] = [[], [], []];
    const result = await align(to, {
      onWarning: (message) => warnings!.push(message),
      onProgress: (done, total, stage) => stages!.push(`${stage} ${done}/${total}`),
      onDetector: (description) => descriptions!.push(description),
    });
    expect(result).toEqual({ photos: 4, images: 3, withoutFace: 1, severalFaces: 1, skipped: 0 });
    const files = ['ann/0.png', 'ann/deep/1.png', 'bob/two.png', 'detection.json'];
    expect(readdirSync(to, { recursive: true }).toSorted()).toEqual(['ann', ...files, 'ann/deep', 'bob'].toSorted());
    for (const [path, face] of [
      ['ann/0.png', turned],
      ['bob/two.png', large],
    ] as const) {
      const expected = alignFace(await decodeWhole(join(photos, path)), landmarksOf(face));
      // Landmarks are found to thousandths of pixels.
      expect(largestDifference(await pixels(join(to, path)), expected)).toBeLessThanOrEqual(2);
    }
    expect(stages).toEqual([1, 2, 3, 4].map((i) => `detecting ${i}/4`).concat([1, 2, 3].map((i) => `aligning ${i}/3`)));
    expect(descriptions).toEqual([expect.stringMatching(/^scrfd of 320×320 pixels by onnxruntime-(node|web) 1\./)]);
    expect(warnings).toEqual([
      expect.stringMatching(/bob\/none\.png: no face; the best score is 0(\.\d+)?, of at least 0\.5$/),
      `${photos}: 1 entries are no JPEG, PNG or WebP and are ignored: bob/notes.txt`,
    ]);
    expect(report(to)).toEqual({
      detector: {
        model: 'scrfd.onnx',
        kind: 'scrfd',
        inputSize: { width: 320, height: 320 },
        by: expect.stringMatching(/^onnxruntime-/),
      },
      minScore: 0.5,
      face: 'largest',
      photographs: 4,
      aligned: 3,
      severalFaces: 1,
      withoutFace: [{ path: 'bob/none.png', bestScore: expect.any(Number) }],
      damaged: [],
      ignored: ['bob/notes.txt'],
    });
  });

  it('saves landmarks that give the same faces without the detector', async () => {
    const [one, again] = [target(), target()];
    const list = join(temporaryFolder(), 'found.jsonl');
    await align(one, { saveLandmarks: list, jobs: 3 });
    const rows = rowsOf(list);
    expect(rows.map(({ path, faces }) => [path, faces])).toEqual([
      ['ann/0.png', 1],
      ['ann/deep/1.jpg', 1],
      ['bob/two.png', 2],
    ]);
    expect(offBy(rows[0]!.kps, landmarksOf(turned))).toBeLessThan(0.01);
    // JPEG changes the colours that say where the landmarks are.
    expect(
      offBy(
        rows[1]!.kps,
        landmarksOf(sure).map(([x, y]): Point => [2 * x, 2 * y]),
      ),
    ).toBeLessThan(1);
    await alignDataset(list, again, { root: photos, format: 'png' });
    for (const path of ['ann/0.png', 'ann/deep/1.png', 'bob/two.png']) {
      expect(readFileSync(join(again, path))).toEqual(readFileSync(join(one, path)));
    }
    await expect(align(target(), { saveLandmarks: list })).rejects.toThrow(
      /saveLandmarks: expected a file that is not there yet/,
    );
    await expect(align(target(), { saveLandmarks: `${list}.csv` })).rejects.toThrow(
      /with another ending; name it \.jsonl/,
    );
    await expect(align(target(), { saveLandmarks: join(list, 'a.jsonl') })).rejects.toThrow(
      /saveLandmarks: expected a place that can be written to, .* \(ENOTDIR in /,
    );
  });

  it('takes the face that it is told to', async () => {
    const folder = temporaryFolder();
    // The large one scores less: its square covers a place of stride 16 only.
    const weak: PaintedFace = { x: 16, y: 16, side: 16, green: 220, blue: 128 };
    const middle: PaintedFace = { x: 152, y: 120, side: 8, green: 90, blue: 128 };
    put(folder, 'three.png', await paint(320, 256, [weak, middle, sure]).png().toBuffer());
    const image = await decodeWhole(join(folder, 'three.png'));
    for (const [face, expected] of [
      ['largest', weak],
      ['center', middle],
      ['best', sure],
    ] as const) {
      const to = target();
      await align(to, { face }, folder);
      expect(
        largestDifference(await pixels(join(to, 'three.png')), alignFace(image, landmarksOf(expected))),
      ).toBeLessThan(4);
      expect(report(to)).toMatchObject({ face, severalFaces: 1 });
    }
    await expect(align(target(), { face: 'first' as 'best' })).rejects.toThrow(
      /E_RANGE: face: expected largest, center, best/,
    );
  });

  it('reads photographs as they are shown: turned by EXIF, with alpha, grey', async () => {
    const folder = temporaryFolder();
    // Stored on its side; shown, it is `turned`'s picture.
    const upright = await paint(320, 256, [turned]).png().toBuffer();
    const stored = await sharp(upright)
      .rotate(270)
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' });
    put(folder, 'exif.jpg', await stored.toBuffer());
    put(folder, 'alpha.png', await sharp(upright).ensureAlpha(0.3).png().toBuffer());
    const white: PaintedFace = { x: 64, y: 64, side: 32, green: 255, blue: 255 };
    const dark = Buffer.alloc(320 * 256, 30);
    for (let row = 64; row < 96; row++) dark.fill(255, 320 * row + 64, 320 * row + 96);
    const grey = sharp(dark, { raw: { width: 320, height: 256, channels: 1 } }).toColourspace('b-w');
    put(folder, 'grey.png', await grey.png().toBuffer());
    const list = join(temporaryFolder(), 'found.jsonl');
    expect(await align(target(), { saveLandmarks: list }, folder)).toMatchObject({ images: 3 });
    const rows = rowsOf(list);
    for (const [path, face] of [
      ['alpha.png', turned],
      ['exif.jpg', turned],
      ['grey.png', white],
    ] as const) {
      expect(offBy(rows.find((row) => row.path === path)!.kps, landmarksOf(face))).toBeLessThan(1);
    }
  });

  it('refuses a damaged photograph, or one that lies about its size, before anything is written; or leaves them out', async () => {
    const folder = temporaryFolder();
    const whole = await paint(320, 256, [turned]).png().toBuffer();
    put(folder, 'a.png', whole);
    const liar = Buffer.from(whole);
    // Width and height of the header, and its checksum for them.
    liar.writeUInt32BE(60_000, 16);
    liar.writeUInt32BE(60_000, 20);
    liar.writeUInt32BE(crc32(liar.subarray(12, 29)), 29);
    put(folder, 'liar.png', liar);
    put(folder, 'cut.jpg', (await paint(320, 256, [turned]).jpeg().toBuffer()).subarray(0, -400));
    put(folder, 'text.jpg', 'not an image');
    const to = target();
    await expect(align(to, { jobs: 1 }, folder)).rejects.toThrow(
      /^E_FORMAT: .*cut\.jpg: expected a whole image, .*replace or remove the file, or leave such photographs out with --skip-bad$/,
    );
    expect(readdirSync(join(to, '..'))).toEqual([]);
    const warnings: string[] = [];
    const options = { skipBad: true, onWarning: (message: string) => warnings.push(message) };
    expect(await align(to, options, folder)).toEqual({
      photos: 4,
      images: 1,
      withoutFace: 0,
      severalFaces: 0,
      skipped: 3,
    });
    expect(warnings).toHaveLength(3);
    expect(report(to)['damaged']).toEqual([
      { path: 'cut.jpg', reason: expect.stringMatching(/cut\.jpg: expected a whole image/) },
      { path: 'liar.png', reason: expect.stringMatching(/liar\.png: expected a whole image.*pixel limit/) },
      { path: 'text.jpg', reason: expect.stringMatching(/text\.jpg: expected a JPEG, PNG or WebP image/) },
    ]);
  });

  it('refuses folders without photographs, or whose faces would be one file, and a target that is there', async () => {
    const empty = temporaryFolder();
    await expect(align(target(), {}, empty)).rejects.toThrow(
      /E_FORMAT: .*expected images .* received an empty folder/,
    );
    put(empty, 'a/readme.md', '');
    await expect(align(target(), {}, empty)).rejects.toThrow(/received 1 other entries \(a\/readme\.md, …\)/);
    put(empty, 'a/x.png', 'x');
    put(empty, 'a/x.jpg', 'x');
    await expect(align(target(), {}, empty)).rejects.toThrow(
      /received a\/x\.jpg and a\/x\.png, whose faces would be one file/,
    );
    await expect(align(target(), {}, join(empty, 'none'))).rejects.toThrow(
      /expected a folder of images, received ENOENT/,
    );
    await expect(align(photos)).rejects.toThrow(/E_RANGE: to: /);
    await expect(align(target(), { minScore: 0 })).rejects.toThrow(
      /E_RANGE: minScore: expected a number in \(0, 1\], received 0/,
    );
    await expect(alignDataset(photos, target())).rejects.toThrow(
      /a folder of photographs needs --detector MODEL\.onnx/,
    );
  });

  it('follows links, but not in circles', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'cy'));
    symlinkSync(join(photos, 'ann'), join(folder, 'cy', 'ann'));
    symlinkSync(folder, join(folder, 'cy', 'back'));
    symlinkSync(join(folder, 'gone.jpg'), join(folder, 'dead.jpg'));
    const to = target();
    expect(await align(to, {}, folder)).toMatchObject({ photos: 2, images: 2 });
    expect(report(to)['ignored']).toEqual(['cy/back', 'dead.jpg']);
    expect(existsSync(join(to, 'cy/ann/deep/1.png'))).toBe(true);
  });

  it('says when left and right seem exchanged', async () => {
    const mirrored = join(temporaryFolder(), 'mirrored.onnx');
    put(join(mirrored, '..'), 'mirrored.onnx', paintedDetector('scrfd', { mirrored: true }));
    const warnings: string[] = [];
    await align(target(), { detector: mirrored, onWarning: (message) => warnings.push(message) });
    expect(warnings).toContainEqual(
      expect.stringMatching(/mirrored\.onnx: the landmarks of 3 of 3 faces fit a face better with left and right/),
    );
  });

  it('says how far from a face photographs are that have none', async () => {
    const folder = temporaryFolder();
    put(folder, 'a.png', await paint(320, 256, [turned]).png().toBuffer());
    put(folder, 'b.png', await paint(320, 256, []).png().toBuffer());
    const to = target();
    const list = join(temporaryFolder(), 'found.jsonl');
    await expect(align(to, { minScore: 0.99, saveLandmarks: list }, folder)).rejects.toThrow(
      /E_FORMAT: .*expected photographs with faces, received 2 without \(the best score is 0\.97\d*, of at least 0\.99\)/,
    );
    expect([existsSync(list), ...readdirSync(join(to, '..'))]).toEqual([false]);
  });

  it('names ten photographs without a face, and counts the others', async () => {
    const folder = temporaryFolder();
    put(folder, 'face.png', await paint(320, 256, [turned]).png().toBuffer());
    const blank = await paint(64, 64, []).png().toBuffer();
    for (let i = 0; i < 13; i++) put(folder, `none-${i}.png`, blank);
    const to = target();
    const warnings: string[] = [];
    expect(await align(to, { onWarning: (message) => warnings.push(message) }, folder)).toMatchObject({
      withoutFace: 13,
    });
    expect(warnings).toHaveLength(11);
    expect(warnings[10]).toBe('and 3 more without a face');
    expect(report(to)['withoutFace']).toHaveLength(13);
  });

  it.each(['detecting', 'aligning'])('keeps nothing of the faces when it is stopped while %s', async (when) => {
    const interrupt = new AbortController();
    const to = target();
    const work = align(to, {
      jobs: 1,
      signal: interrupt.signal,
      onProgress: (_done, _total, stage) => stage === when && interrupt.abort(new Error('stop')),
    });
    await expect(work).rejects.toThrow('stop');
    expect(readdirSync(join(to, '..'))).toEqual([]);
  });

  it('is a command', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const stderr = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
    try {
      const to = target();
      const list = join(temporaryFolder(), 'found.jsonl');
      const flags = ['--detector', detector, '--detector-size', '320', '--save-landmarks', list, '--min-score', '.6'];
      expect(await main(['data', 'align', photos, to, ...flags, '--face', 'best'])).toBe(0);
      expect(log.mock.calls.flat().join('\n')).toMatch(
        new RegExp(
          `scrfd\\.onnx: scrfd of 320×320 pixels by onnxruntime-.*\\n${to}: 3 faces of 112×112 pixels from 4 photographs\\n` +
            `1 photographs have several faces: the one with the best score was taken\\n` +
            `1 photographs without a face, listed in ${to}/detection\\.json\\n${list}: the landmarks; align by them with --root ${photos}`,
        ),
      );
      expect(warn).toHaveBeenCalledTimes(2);
      expect(existsSync(join(to, 'ann/0.jpg'))).toBe(true);
      expect(await main(['data', 'align', list, target(), '--min-score', '0.5'])).toBe(1);
      expect(await main(['data', 'align', photos, target(), '--detector', detector, '--root', photos])).toBe(1);
      const refusals = stderr.mock.calls.flat().join('');
      expect(refusals).toMatch(/E_RANGE: detector: expected a file for --min-score, received none; add --detector/);
      expect(refusals).toMatch(/E_RANGE: root: expected only with a list of landmarks/);
    } finally {
      vi.restoreAllMocks();
    }
  });
});

describe('chooseFace', () => {
  const face = (score: number, box: [number, number, number, number]): Face => ({
    score,
    box,
    points: [0, 1, 2, 3, 4].map((i): Point => [box[0] + i, box[1] + i]),
  });
  const size = { width: 100, height: 100 };

  it('takes the first of equals, and weighs area against the distance from the centre', () => {
    const [sharp, corner, centred] = [
      face(0.9, [0, 0, 10, 10]),
      face(0.8, [0, 0, 40, 40]),
      face(0.8, [40, 40, 70, 70]),
    ];
    expect(chooseFace([sharp, corner, centred], 'best', size)).toBe(sharp);
    expect(chooseFace([sharp, corner, centred], 'largest', size)).toBe(corner);
    // 1600 − 2·(30² + 30²) is less than 900 − 2·(5² + 5²).
    expect(chooseFace([sharp, corner, centred], 'center', size)).toBe(centred);
    const twin = face(0.9, [0, 0, 10, 10]);
    for (const rule of ['best', 'largest', 'center'] as const)
      expect(chooseFace([sharp, twin], rule, size)).toBe(sharp);
  });

  it('takes no face whose landmarks are beside the image, or in one place', () => {
    expect(isUsable(face(1, [10, 10, 20, 20]), size)).toBe(true);
    expect(isUsable(face(1, [98.5, 10, 120, 20]), size)).toBe(false);
    expect(isUsable(face(1, [-3, 10, 20, 20]), size)).toBe(false);
    expect(isUsable({ ...face(1, [10, 10, 20, 20]), points: Array<Point>(5).fill([12, 12]) }, size)).toBe(false);
  });
});
