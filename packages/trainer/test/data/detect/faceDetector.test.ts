import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Point } from '../../../dist/data/align/similarity.js';
import { decodeWhole, type RgbImage } from '../../../dist/data/align/warp.js';
import { FaceDetector, type DetectorOptions } from '../../../dist/data/detect/faceDetector.js';
import { OnnxSession } from '../../../dist/data/detect/onnxSession.js';
import { put, temporaryFolder } from '../fixtures.js';
import { paintedDetector, type Kind, type ModelOptions } from './paintedDetector.js';
import { landmarksOf, offBy, paint, type PaintedFace } from './paintedFaces.js';

const folder = temporaryFolder();
function model(kind: Kind, options: ModelOptions = {}): string {
  const name = `${kind}-${JSON.stringify(options).replaceAll(/[^\w.-]/g, '')}.onnx`;
  put(folder, name, paintedDetector(kind, options));
  return join(folder, name);
}

async function withDetector<T>(
  path: string,
  options: DetectorOptions,
  use: (detector: FaceDetector) => Promise<T> | T,
): Promise<T> {
  const detector = await FaceDetector.open(path, options);
  try {
    return await use(detector);
  } finally {
    await detector.close();
  }
}

const painted = async (width: number, height: number, faces: readonly PaintedFace[]): Promise<RgbImage> =>
  decodeWhole(await paint(width, height, faces).png().toBuffer());

const upright: PaintedFace = { x: 96, y: 64, side: 16, green: 100, blue: 128 };
const turned: PaintedFace = { x: 192, y: 128, side: 32, green: 220, blue: 30 };
const small: PaintedFace = { x: 40, y: 200, side: 8, green: 10, blue: 140 };

describe('FaceDetector', () => {
  it.each<Kind>(['scrfd', 'yunet', 'retinaface'])('finds painted faces at every stride with a %s', async (kind) => {
    await withDetector(model(kind), { size: 320 }, async (detector) => {
      expect(detector.kind).toBe(kind);
      expect(detector.size).toEqual({ width: 320, height: 320 });
      expect(detector.by).toMatch(/^onnxruntime-(node|web) \d/);
      const { faces, bestScore } = await detector.detect(await painted(320, 256, [upright, turned, small]));
      // Scores grow with the stride.
      const expected = [turned, upright, small];
      expect(faces).toHaveLength(expected.length);
      expected.forEach((face, i) => expect(offBy(faces[i]!.points, landmarksOf(face))).toBeLessThan(0.01));
      expect(bestScore).toBe(faces[0]!.score);
      const nothing = await detector.detect(await painted(320, 256, []));
      expect(nothing).toEqual({ faces: [], bestScore: expect.closeTo(0, 1) });
    });
  });

  it('finds them in images that are larger, smaller, wide and tall, in pixels of the image', async () => {
    await withDetector(model('scrfd'), { size: 320 }, async (detector) => {
      // The input's pixel for one of the image.
      const cases: [width: number, height: number, scale: number][] = [
        [640, 512, 0.5],
        [960, 192, 1 / 3],
        [128, 640, 0.5],
        [160, 160, 2],
      ];
      for (const [width, height, scale] of cases) {
        const inInput = { x: 32, y: 32, side: 32, green: 80, blue: 170 };
        // A square that covers the place whole, and its soft edges where it is enlarged lie beside it.
        const margin = scale > 1 ? 2 : 0;
        const [corner, side] = [32 / scale - margin, 32 / scale + 2 * margin];
        const { faces } = await detector.detect(
          await painted(width, height, [{ ...inInput, x: corner, y: corner, side }]),
        );
        const expected = landmarksOf(inInput).map(([x, y]): Point => [x / scale, y / scale]);
        expect(offBy(faces[0]!.points, expected)).toBeLessThan(0.01);
      }
    });
  });

  it('scales each axis by its own scale, which differ where a size was rounded down', async () => {
    await withDetector(model('scrfd'), { size: 320 }, async (detector) => {
      // 320×9 of 320×9.6 pixels. The strip's square covers the place of stride 8 at (32, 0) whole.
      const pixels = Buffer.alloc(1000 * 30 * 3);
      for (let row = 0; row < 30; row++) {
        for (let column = 100; column < 125; column++) pixels.set([255, 80, 170], 3 * (1000 * row + column));
      }
      const { faces } = await detector.detect({ data: pixels, width: 1000, height: 30 });
      const expected = landmarksOf({ x: 32, y: 0, side: 8, green: 80, blue: 170 }).map(([x, y]): Point => [
        x / 0.32,
        y / 0.3,
      ]);
      expect(faces).toHaveLength(1);
      expect(offBy(faces[0]!.points, expected)).toBeLessThan(0.01);
    });
  });

  it('takes the size that a model has in it, square or not', async () => {
    await withDetector(model('scrfd', { size: [256, 320] }), {}, async (detector) => {
      expect(detector.size).toEqual({ width: 320, height: 256 });
      const { faces } = await detector.detect(await painted(320, 256, [upright]));
      expect(offBy(faces[0]!.points, landmarksOf(upright))).toBeLessThan(0.01);
    });
    await withDetector(model('yunet', { size: [320, 320] }), { kind: 'yunet' }, ({ kind }) => {
      expect(kind).toBe('yunet');
    });
    await withDetector(model('yunet'), {}, ({ size }) => expect(size).toEqual({ width: 640, height: 640 }));
    const fixed = model('yunet', { size: [320, 320] });
    await expect(FaceDetector.open(fixed, { size: 640 })).rejects.toThrow(
      /E_RANGE: detectorSize: expected 320×320, which .* has in it, received 640; leave --detector-size out/,
    );
    await expect(FaceDetector.open(model('yunet', { size: [250, 320] }))).rejects.toThrow(
      /E_FORMAT: .*expected an input of multiples of 32 pixels up to 2048, received 320×250/,
    );
  });

  it('says what it found instead of a face detector', async () => {
    await expect(FaceDetector.open(model('scrfd', { withoutPoints: true }), { size: 64 })).rejects.toThrow(
      /E_FORMAT: .*expected a detector with five key points, received a SCRFD without; take one with them, such as det_10g/,
    );
    await expect(FaceDetector.open(model('scrfd'), { size: 64, kind: 'yunet' })).rejects.toThrow(
      /outputs of a face detector \(yunet: class .*\), received 9 for an input of 64×64: score_8 \[128, 1\], score_16 \[32, 1\], /,
    );
    await expect(FaceDetector.open(model('scrfd'), { kind: 'mtcnn' })).rejects.toThrow(
      /E_RANGE: detectorKind: expected scrfd, yunet, retinaface, received mtcnn/,
    );
    await expect(FaceDetector.open(model('scrfd', { inputs: [1, 1] }))).rejects.toThrow(
      /E_FORMAT: .*one input of float32 \[1, 3, height, width\], received image float32 \[1, 1, height, width\]/,
    );
    await expect(FaceDetector.open(model('scrfd', { inputs: [4, 3] }))).rejects.toThrow(
      /received image float32 \[4, 3,/,
    );
    await expect(FaceDetector.open(model('scrfd'), { size: 100 })).rejects.toThrow(
      /E_RANGE: detectorSize: expected a multiple of 32 from 64 to 2048, received 100/,
    );
  });

  it('refuses files that are no model', async () => {
    const whole = readFileSync(model('scrfd'));
    for (const [name, bytes] of [
      ['cut.onnx', whole.subarray(0, whole.length / 2)],
      ['empty.onnx', Buffer.alloc(0)],
      ['text.onnx', Buffer.from('<html>404</html>')],
    ] as const) {
      put(folder, name, bytes);
      await expect(FaceDetector.open(join(folder, name))).rejects.toThrow(
        new RegExp(`E_FORMAT: .*${name}: expected an ONNX model, received ${bytes.length} bytes that onnxruntime-`),
      );
    }
    await expect(FaceDetector.open(join(folder, 'none.onnx'))).rejects.toThrow(
      /E_FORMAT: .*none\.onnx: expected a readable ONNX file, received ENOENT; check the path/,
    );
  });

  it('refuses scores that are no probabilities, and NaN', async () => {
    const image = await painted(64, 64, []);
    await withDetector(model('scrfd', { scoreShift: 4 }), { size: 64 }, async (detector) => {
      await expect(detector.detect(image)).rejects.toThrow(
        /E_RANGE: detector: expected scores in \[0, 1\], received \d.*export the model with its sigmoid/,
      );
    });
    await withDetector(model('retinaface', { scoreShift: NaN }), { size: 64 }, async (detector) => {
      await expect(detector.detect(image)).rejects.toThrow(/E_NONFINITE: detector: expected finite outputs/);
    });
    await withDetector(model('scrfd'), { size: 64 }, async (detector) => {
      for (const minScore of [0, 1.5, NaN]) {
        await expect(detector.detect(image, minScore)).rejects.toThrow(
          /E_RANGE: minScore: expected a number in \(0, 1\]/,
        );
      }
    });
  });
});

describe('OnnxSession', () => {
  it('says how to install a runtime where there is none', async () => {
    await expect(OnnxSession.open(model('scrfd'), () => {}, ['onnxruntime-of-no-one'])).rejects.toThrow(
      /E_DEVICE: onnxruntime: expected the npm package onnxruntime-node or onnxruntime-web .* npm install --ignore-scripts onnxruntime-node$/,
    );
  });

  it('passes over a runtime that does not load, and says so', async () => {
    const warnings: string[] = [];
    put(folder, 'broken.mjs', 'throw new Error("no binding for this platform");');
    const broken = join(folder, 'broken.mjs');
    const session = await OnnxSession.open(model('scrfd'), (message) => warnings.push(message), [
      broken,
      'onnxruntime-web',
    ]);
    expect(session.by).toMatch(/^onnxruntime-web 1\./);
    expect(warnings).toEqual([`${broken} is installed and does not load: no binding for this platform`]);
    await session.close();
  });
});
