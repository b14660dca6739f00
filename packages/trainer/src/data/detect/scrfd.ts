import {
  type Decode,
  type DetectorKind,
  fivePoints,
  gridOf,
  type OutputTable,
  readCandidates,
  TableSearch,
} from './detectorKind.js';
import type { Detection } from './face.js';
import type { InputSize } from './letterbox.js';

/** What InsightFace has: levels of outputs, and anchors at a place. */
const LAYOUTS = [
  { levels: 3, anchors: 2 },
  { levels: 5, anchors: 1 },
];

interface Level {
  readonly stride: number;
  readonly anchors: number;
  /** Places in a row of the grid, and in all of it times the anchors. */
  readonly columns: number;
  readonly rows: number;
  readonly scores: string;
  readonly boxes: string;
  readonly points: string;
}

/**
 * Finds the outputs of each level, stride 8, 16, …: scores [n, 1], boxes [n, 4] and key points [n, 10], n = places times anchors.
 * @param withPoints false for models that have none
 */
function levelsOf(outputs: readonly OutputTable[], size: InputSize, withPoints: boolean): Level[] | undefined {
  const layout = LAYOUTS.find(({ levels }) => outputs.length === levels * (withPoints ? 3 : 2));
  if (layout === undefined) return undefined;
  const search = new TableSearch(outputs);
  const levels: Level[] = [];
  for (let i = 0; i < layout.levels; i++) {
    const stride = 8 * 2 ** i;
    const { columns, places } = gridOf(size, stride);
    const rows = places * layout.anchors;
    const [scores, boxes] = [search.take(rows, 1), search.take(rows, 4)];
    const points = withPoints ? search.take(rows, 10) : '';
    if (scores === undefined || boxes === undefined || points === undefined) return undefined;
    levels.push({ stride, anchors: layout.anchors, columns, rows, scores, boxes, points });
  }
  return levels;
}

/** Outputs of a SCRFD model without key points, which tell no pose. */
export const isScrfdWithoutPoints = (outputs: readonly OutputTable[], size: InputSize): boolean =>
  levelsOf(outputs, size, false) !== undefined;

/**
 * SCRFD with key points (Guo et al., "Sample and computation redistribution for efficient face detection", ICLR 2022) as InsightFace exports it:
 * `det_10g.onnx`, `scrfd_2.5g_bnkps.onnx` and their like. A place at column c and row r of stride s stands at (c·s, r·s); boxes are distances to left,
 * top, right and bottom, key points are offsets, both in strides. Anchors of a place follow one another.
 */
export const scrfd: DetectorKind = {
  name: 'scrfd',
  outputs:
    'scores [n, 1], boxes [n, 4] and key points [n, 10] at strides 8, 16, 32 (two anchors a place) or 8 to 128 (one)',
  input: { channels: 'RGB', mean: [127.5, 127.5, 127.5], deviation: 128 },
  overlaps: { overlap: 0.4, pixel: 1 },
  arrange(outputs, size): Decode | undefined {
    const levels = levelsOf(outputs, size, true);
    if (levels === undefined) return undefined;
    return (values, minScore): Detection => {
      const found = levels.map((level) => {
        const [scores, boxes, points] = [level.scores, level.boxes, level.points].map((name) => values.get(name)!);
        const { stride, anchors, columns } = level;
        return readCandidates(
          level.rows,
          minScore,
          (row) => scores![row]!,
          (row, score) => {
            const place = Math.floor(row / anchors);
            const [x, y] = [(place % columns) * stride, Math.floor(place / columns) * stride];
            const [left, top, right, bottom] = boxes!.subarray(4 * row, 4 * row + 4);
            return {
              score,
              box: [x - left! * stride, y - top! * stride, x + right! * stride, y + bottom! * stride],
              points: fivePoints(points!, row, (dx, dy) => [x + dx * stride, y + dy * stride]),
            };
          },
        );
      });
      return {
        faces: found.flatMap(({ faces }) => faces),
        bestScore: Math.max(...found.map(({ bestScore }) => bestScore)),
      };
    };
  },
};
