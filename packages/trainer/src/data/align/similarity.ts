import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** x to the right and y down, in pixels; (0, 0) is the centre of the top left pixel. */
export type Point = readonly [x: number, y: number];

/** A 2×3 matrix, row by row: (x, y) → (m[0]·x + m[1]·y + m[2], m[3]·x + m[4]·y + m[5]). */
export type AffineMatrix = readonly [number, number, number, number, number, number];

/**
 * Where ArcFace's training and test images have left eye, right eye, nose, left and right corner of the mouth (left and right as one sees them) at
 * 112×112: InsightFace's `arcface_dst`.
 */
export const ARCFACE_TEMPLATE: readonly Point[] = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];

/**
 * The template for images of `size` × `size` pixels: coordinates times size/112, as InsightFace's `estimate_norm` scales them.
 * @throws HyperArcError E_RANGE unless `size` is a whole number in [1, 4096].
 */
export function arcFaceTemplate(size = 112): Point[] {
  if (!Number.isInteger(size) || size < 1 || size > 4096) {
    throw new HyperArcError('E_RANGE', `size: expected a whole number of pixels in [1, 4096], received ${size}`);
  }
  const ratio = size / 112;
  return ARCFACE_TEMPLATE.map(([x, y]): Point => [x * ratio, y * ratio]);
}

/** [cos·scale, sin·scale] of the turn that, with a scale, moves centred `from` nearest to centred `to`; and both centroids. */
interface Fit {
  readonly along: number;
  readonly across: number;
  readonly fromMean: Point;
  readonly toMean: Point;
}

function meanOf(points: readonly Point[]): Point {
  const sum = points.reduce(([sx, sy], [x, y]): [number, number] => [sx + x, sy + y], [0, 0]);
  return [sum[0] / points.length, sum[1] / points.length];
}

function fit(from: readonly Point[], to: readonly Point[]): Fit {
  const fromMean = meanOf(from);
  const toMean = meanOf(to);
  let [dot, cross, spread] = [0, 0, 0];
  for (const [i, [fx, fy]] of from.entries()) {
    const [tx, ty] = to[i]!;
    const [x, y] = [fx - fromMean[0], fy - fromMean[1]];
    const [u, v] = [tx - toMean[0], ty - toMean[1]];
    dot += x * u + y * v;
    cross += x * v - y * u;
    spread += x * x + y * y;
  }
  // Coordinates of a few thousand pixels leave rounding of this size when all points are one.
  const magnitude = Math.max(1, ...from.flat().map(Math.abs));
  if (spread <= 1e-20 * magnitude * magnitude) {
    throw new HyperArcError('E_RANGE', 'from: expected points in different places, received one place only; look at the landmarks');
  }
  return { along: dot / spread, across: cross / spread, fromMean, toMean };
}

function checkPoints(name: string, points: readonly Point[], count: number): void {
  if (points.length !== count || count < 2) {
    throw new HyperArcError('E_SHAPE', `${name}: expected ${Math.max(2, count)} points, received ${points.length}`);
  }
  if (!points.every((point) => point.length === 2 && point.every(Number.isFinite))) {
    throw new HyperArcError('E_NONFINITE', `${name}: expected finite coordinates, received ${JSON.stringify(points).slice(0, 120)}`);
  }
}

/**
 * The similarity (scale, turn, shift; no mirroring) that moves `from` to `to` with the least sum of squared distances: S. Umeyama, "Least-squares
 * estimation of transformation parameters between two point patterns", PAMI 1991, eqs. 40–42, in the closed form that two dimensions have:
 * with centred x and u, [a −b; b a], a = Σ x·u / Σ‖x‖², b = Σ x×u / Σ‖x‖². The same as scikit-image's `SimilarityTransform.estimate`.
 *
 * @param from at least two points
 * @param to as many, {@link arcFaceTemplate} by default
 * @throws HyperArcError E_SHAPE for other numbers of points, E_NONFINITE, E_RANGE when `from` is one place only.
 */
export function similarityTransform(from: readonly Point[], to: readonly Point[] = ARCFACE_TEMPLATE): AffineMatrix {
  checkPoints('from', from, to.length);
  checkPoints('to', to, from.length);
  const { along, across, fromMean, toMean } = fit(from, to);
  return [
    along,
    -across,
    toMean[0] - along * fromMean[0] + across * fromMean[1],
    across,
    along,
    toMean[1] - across * fromMean[0] - along * fromMean[1],
  ];
}

/** Where the matrix moves a point. */
export function transformPoint(matrix: AffineMatrix, [x, y]: Point): Point {
  const [a, b, c, d, e, f] = matrix;
  return [a * x + b * y + c, d * x + e * y + f];
}

/** The way back. @throws HyperArcError E_RANGE for a matrix without one. */
export function invertAffine(matrix: AffineMatrix): AffineMatrix {
  const [a, b, c, d, e, f] = matrix;
  const determinant = a * e - b * d;
  const largest = Math.max(Math.abs(a), Math.abs(b), Math.abs(d), Math.abs(e));
  if (!(Math.abs(determinant) > 1e-12 * largest * largest)) {
    throw new HyperArcError('E_RANGE', `matrix: expected one that can be inverted, received [${matrix.join(', ')}]`);
  }
  return [
    e / determinant,
    -b / determinant,
    (b * f - c * e) / determinant,
    -d / determinant,
    a / determinant,
    (c * d - a * f) / determinant,
  ];
}
