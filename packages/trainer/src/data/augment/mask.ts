import { ALIGNED_SIDE, toByte, type Pixels } from './image.js';
import { polygonCoverage, type Point } from './polygon.js';

/**
 * ArcFace's alignment template at 112 × 112 (InsightFace): where alignment puts the nose's tip and the mouth's corners. The
 * chin is not in it; faces put it about as far below the mouth as the nose is above.
 */
const NOSE: Point = [56.0252, 71.7366];
const MOUTH: readonly [Point, Point] = [
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];
const HALF_MOUTH = (MOUTH[1][0] - MOUTH[0][0]) / 2;
const NOSE_TO_MOUTH = (MOUTH[0][1] + MOUTH[1][1]) / 2 - NOSE[1];

/**
 * Right half of each outline, from the middle of its upper edge to the middle of its lower edge. x in half widths of the
 * mouth from the nose, y in distances nose to mouth from the nose's tip: 0 nose, 1 mouth, 2 chin. `upper` points of the
 * outline follow the height at which the mask is worn.
 */
const SHAPES = {
  /** Wide, its upper edge nearly straight. */
  surgical: { upper: [[0, 0], [1.2, 0.12], [2.65, 0.3]], lower: [[2.45, 0.95], [1.7, 1.75], [0.75, 2.15], [0, 2.2]] },
  /** Rounder and narrower. */
  cloth: { upper: [[0, 0], [1.1, 0.15], [2.3, 0.4]], lower: [[2.1, 1.1], [1.2, 1.95], [0, 2.25]] },
  /** FFP2 or N95: pointed over the nose, low at the cheeks. */
  respirator: { upper: [[0, 0], [0.8, 0.2], [2.2, 0.85]], lower: [[2.3, 1.3], [1.4, 2.0], [0, 2.3]] },
} as const satisfies Record<string, { upper: readonly Point[]; lower: readonly Point[] }>;

export type MaskShape = keyof typeof SHAPES;
export const MASK_SHAPES = Object.keys(SHAPES) as readonly MaskShape[];

/** sRGB bytes. */
export const MASK_COLOURS = {
  blue: [150, 190, 216],
  white: [236, 237, 238],
  black: [36, 36, 40],
  grey: [122, 124, 128],
  green: [128, 178, 164],
  pink: [222, 164, 176],
} as const satisfies Record<string, readonly [number, number, number]>;
export type MaskColour = keyof typeof MASK_COLOURS;

export interface MaskOptions {
  readonly shape: MaskShape;
  readonly colour: MaskColour;
  /** Height of the upper edge's middle, in distances nose to mouth below the nose's tip; −0.5 is the nose's bridge. */
  readonly top: number;
  /** Factor on the width. */
  readonly width: number;
  /** Where the middle is, in pixels of a 112 × 112 face to the right of the nose. */
  readonly shift: number;
}

/** The outline in pixels of a size × size face. */
export function maskOutline({ shape, top, width, shift }: Omit<MaskOptions, 'colour'>, size: number): Point[] {
  const { upper, lower } = SHAPES[shape];
  const unit = size / ALIGNED_SIDE;
  const right: Point[] = [...upper.map(([x, y]): Point => [x, y + top]), ...lower.map(([x, y]): Point => [x, Math.max(y, top)])];
  const place = ([x, y]: Point, side: number): Point => [
    (NOSE[0] + shift + side * width * x * HALF_MOUTH) * unit,
    (NOSE[1] + y * NOSE_TO_MOUTH) * unit,
  ];
  return [...right.map((point) => place(point, 1)), ...right.slice(1, -1).reverse().map((point) => place(point, -1))];
}

/**
 * Draws a face mask over the lower face, for faces aligned to ArcFace's template. It darkens towards its sides and has
 * folds. A plain drawing: FaceX-Zoo's FMA-3D (Wang et al., ACM MM 2021) lays a mask's texture on a 3-D face.
 */
export function drawMask(pixels: Pixels, size: number, options: MaskOptions): Pixels {
  const coverage = polygonCoverage(maskOutline(options, size), size);
  const colour = MASK_COLOURS[options.colour];
  const unit = size / ALIGNED_SIDE;
  const result = new Uint8Array(pixels);
  for (const [i, share] of coverage.entries()) {
    if (share === 0) continue;
    const across = (((i % size) + 0.5) / unit - NOSE[0] - options.shift) / (2.6 * HALF_MOUTH * options.width);
    const down = ((Math.floor(i / size) + 0.5) / unit - NOSE[1]) / NOSE_TO_MOUTH;
    const shade = 1 - 0.3 * Math.min(1, across * across) - 0.06 * (0.5 + 0.5 * Math.cos(2 * Math.PI * 2 * down));
    for (let channel = 0; channel < 3; channel++) {
      const at = i * 3 + channel;
      result[at] = toByte((1 - share) * pixels[at]! + share * shade * colour[channel]!);
    }
  }
  return result;
}
