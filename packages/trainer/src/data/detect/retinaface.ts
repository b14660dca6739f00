import { type Decode, type DetectorKind, fivePoints, gridOf, readCandidates, TableSearch } from './detectorKind.js';
import type { InputSize } from './letterbox.js';

/** Sides in pixels of the priors at each place of a stride; `cfg_mnet` and `cfg_re50` have the same. */
const PRIORS = [
  { stride: 8, sides: [16, 32] },
  { stride: 16, sides: [64, 128] },
  { stride: 32, sides: [256, 512] },
];
/** Of the offsets and of the logarithms of the sides. */
const [CENTRE_VARIANCE, SIDE_VARIANCE] = [0.1, 0.2];

interface Prior {
  readonly x: number;
  readonly y: number;
  readonly side: number;
}

/** Centres and sides in pixels: strides, rows, columns, sides, the last fastest. */
function priorsOf(size: InputSize): Prior[] {
  return PRIORS.flatMap(({ stride, sides }) => {
    const { columns, places } = gridOf(size, stride);
    return Array.from({ length: places * sides.length }, (_, i): Prior => {
      const place = Math.floor(i / sides.length);
      const [column, row] = [place % columns, Math.floor(place / columns)];
      return { x: (column + 0.5) * stride, y: (row + 0.5) * stride, side: sides[i % sides.length]! };
    });
  });
}

/**
 * RetinaFace (Deng et al., "RetinaFace: single-shot multi-level face localisation in the wild", CVPR 2020) as biubug6's Pytorch_Retinaface exports it,
 * MobileNet-0.25 or ResNet-50: one table over all priors, variances 0.1 and 0.2. Of a prior with centre p and side a: box centre p + 0.1·a·offset,
 * sides a·e^(0.2·size), key points p + 0.1·a·offset. The score is the second column of the softmax.
 */
export const retinaface: DetectorKind = {
  name: 'retinaface',
  outputs: 'boxes [n, 4], scores [n, 2] and key points [n, 10] of two priors a place at strides 8, 16, 32',
  // BGR means.
  input: { channels: 'BGR', mean: [104, 117, 123], deviation: 1 },
  overlaps: { overlap: 0.4, pixel: 1 },
  arrange(outputs, size): Decode | undefined {
    if (outputs.length !== 3) return undefined;
    const priors = priorsOf(size);
    const search = new TableSearch(outputs);
    const names = [4, 2, 10].map((columns) => search.take(priors.length, columns));
    if (names.includes(undefined)) return undefined;
    return (values, minScore) => {
      const [boxes, scores, points] = names.map((name) => values.get(name!)!);
      return readCandidates(
        priors.length,
        minScore,
        (row) => scores![2 * row + 1]!,
        (row, score) => {
          const { x, y, side } = priors[row]!;
          const [dx, dy, width, height] = boxes!.subarray(4 * row, 4 * row + 4);
          const [centreX, centreY] = [x + CENTRE_VARIANCE * side * dx!, y + CENTRE_VARIANCE * side * dy!];
          const [halfWidth, halfHeight] = [width!, height!].map(
            (value) => (side * Math.exp(SIDE_VARIANCE * value)) / 2,
          );
          return {
            score,
            box: [centreX - halfWidth!, centreY - halfHeight!, centreX + halfWidth!, centreY + halfHeight!],
            points: fivePoints(points!, row, (px, py) => [
              x + CENTRE_VARIANCE * side * px,
              y + CENTRE_VARIANCE * side * py,
            ]),
          };
        },
      );
    };
  },
};
