import { type Decode, type DetectorKind, fivePoints, gridOf, readCandidates, TableSearch } from './detectorKind.js';
import type { Detection } from './face.js';

const STRIDES = [8, 16, 32];
const clamp = (value: number): number => Math.min(1, Math.max(0, value));

/**
 * YuNet (Wu, Peng, Yu: "YuNet: a tiny millisecond-level face detector", Machine Intelligence Research 2023) as OpenCV's zoo has it:
 * `face_detection_yunet_2023mar.onnx`. The score is √(class · objectness), each cut to [0, 1]. A place at column c and row r of stride s has the box
 * centre ((c + x)·s, (r + y)·s), sides s·e^w and s·e^h, key points ((c + x)·s, (r + y)·s). The first eye is the person's right one, which one sees on
 * the left. The two factors of the score need not be told apart.
 */
export const yunet: DetectorKind = {
  name: 'yunet',
  outputs:
    'class [n, 1], objectness [n, 1], boxes [n, 4] and key points [n, 10] at strides 8, 16, 32 (one anchor a place)',
  input: { channels: 'BGR', mean: [0, 0, 0], deviation: 1 },
  overlaps: { overlap: 0.3, pixel: 0 },
  arrange(outputs, size): Decode | undefined {
    if (outputs.length !== 4 * STRIDES.length) return undefined;
    const search = new TableSearch(outputs);
    const levels = STRIDES.map((stride) => {
      const { columns, places } = gridOf(size, stride);
      const names = [1, 1, 4, 10].map((width) => search.take(places, width));
      return { stride, columns, places, names };
    });
    if (levels.some(({ names }) => names.includes(undefined))) return undefined;
    return (values, minScore): Detection => {
      const found = levels.map(({ stride, columns, places, names }) => {
        const [classes, objects, boxes, points] = names.map((name) => values.get(name!)!);
        const scoreAt = (place: number) => Math.sqrt(clamp(classes![place]!) * clamp(objects![place]!));
        return readCandidates(places, minScore, scoreAt, (place, score) => {
          const [column, row] = [place % columns, Math.floor(place / columns)];
          const [x, y, width, height] = boxes!.subarray(4 * place, 4 * place + 4);
          const [centreX, centreY] = [(column + x!) * stride, (row + y!) * stride];
          const [halfWidth, halfHeight] = [(Math.exp(width!) * stride) / 2, (Math.exp(height!) * stride) / 2];
          return {
            score,
            box: [centreX - halfWidth, centreY - halfHeight, centreX + halfWidth, centreY + halfHeight],
            points: fivePoints(points!, place, (dx, dy) => [(column + dx) * stride, (row + dy) * stride]),
          };
        });
      });
      return {
        faces: found.flatMap(({ faces }) => faces),
        bestScore: Math.max(...found.map(({ bestScore }) => bestScore)),
      };
    };
  },
};
