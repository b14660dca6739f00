import { KeyedRandom } from '../data/keyedRandom.js';
import { css, mix, shade, type Colour } from './colour.js';
import { DRAWING_SIDE, type HeadDrawing, type HeadPoint } from './head.js';
import { lowerFaceHeights } from './noseMouth.js';

const randomColour = (random: KeyedRandom): Colour => [
  random.uniform(15, 240),
  random.uniform(15, 240),
  random.uniform(15, 240),
];

/** The picture's surroundings; they say nothing about the person. */
export interface Scene {
  readonly clothing: Colour;
  readonly random: KeyedRandom;
}

/** Fills the picture with a two-colour gradient and a few shapes, and chooses clothing. */
export function drawBackground(drawing: HeadDrawing, random: KeyedRandom): Scene {
  const dull = random.uniform(0, 0.7);
  const wallColour = () => mix(randomColour(random), [128, 126, 122], dull);
  const [from, to] = [wallColour(), wallColour()];
  const [x, y] = [random.uniform(), random.uniform()];
  drawing.definitions.push(
    `<linearGradient id="wall" x1="${x.toFixed(2)}" y1="0" x2="${y.toFixed(2)}" y2="1">` +
      `<stop offset="0" stop-color="${css(from)}"/><stop offset="1" stop-color="${css(to)}"/></linearGradient>`,
  );
  drawing.parts.push(`<rect width="${DRAWING_SIDE}" height="${DRAWING_SIDE}" fill="url(#wall)"/>`);
  for (let i = random.integer(5); i > 0; i--) {
    const [cx, cy] = [random.uniform(0, DRAWING_SIDE), random.uniform(0, DRAWING_SIDE)];
    const [w, h] = [random.uniform(8, 60), random.uniform(8, 60)];
    const place = random.chance(0.5)
      ? `<ellipse cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" rx="${(w / 2).toFixed(1)}" ry="${(h / 2).toFixed(1)}"`
      : `<rect x="${(cx - w / 2).toFixed(1)}" y="${(cy - h / 2).toFixed(1)}" width="${w.toFixed(1)}" height="${h.toFixed(1)}"`;
    drawing.parts.push(`${place} fill="${css(wallColour())}" opacity="${random.uniform(0.2, 0.9).toFixed(2)}"/>`);
  }
  return { clothing: randomColour(random), random };
}

/** Draws what hides a part of the face. */
export function drawOcclusion(drawing: HeadDrawing, { random }: Scene, hair: Colour): void {
  switch (drawing.conditions.occlusion) {
    case 'none':
      return;
    case 'glasses':
      return drawGlasses(drawing, random, false);
    case 'sunglasses':
      return drawGlasses(drawing, random, true);
    case 'mask':
    case 'scarf':
      return drawMask(drawing, random, drawing.conditions.occlusion === 'scarf');
    case 'strand':
      return drawLooseStrand(drawing, random, hair);
    case 'hat':
      return drawHat(drawing, random);
    case 'block':
      return drawBlock(drawing, random);
  }
}

function drawGlasses(drawing: HeadDrawing, random: KeyedRandom, dark: boolean): void {
  const { eyeSpacing, eyeHeight, faceWidth } = drawing.traits;
  const frame = shade(randomColour(random), random.pick([0.15, 0.5, 1]));
  const width = random.uniform(0.02, 0.055);
  const [halfX, halfY] = [Math.min(random.uniform(0.2, 0.27), eyeSpacing - 0.05), random.uniform(0.13, 0.21)];
  const corner = random.uniform(0.65, 0.95);
  const fill: Colour = dark ? [24, 24, 30] : [235, 240, 245];
  for (const sign of [-1, 1]) {
    const at = (u: number, v: number): HeadPoint => [
      sign * (eyeSpacing + u * halfX),
      eyeHeight + 0.02 + v * halfY,
      0.84 - 0.1 * u,
    ];
    const rim = [
      at(-1, 0),
      at(-corner, -corner),
      at(0, -1),
      at(corner, -corner),
      at(1, 0),
      at(corner, corner),
      at(0, 1),
      at(-corner, corner),
    ];
    drawing.path(rim, { fill, opacity: dark ? 0.93 : 0.16, closed: true });
    drawing.path(rim, { stroke: frame, width, closed: true });
    drawing.path([at(1, -0.3), drawing.around([sign * (faceWidth + 0.03), eyeHeight - 0.02, 0.05])], {
      stroke: frame,
      width,
    });
    drawing.path([at(-1, -0.2), [0, eyeHeight - 0.01, 0.9]], { stroke: frame, width });
  }
}

function drawMask(drawing: HeadDrawing, random: KeyedRandom, scarf: boolean): void {
  const { traits } = drawing;
  const colour = random.chance(0.4) ? ([206, 222, 230] as const) : randomColour(random);
  const { noseY, mouthY } = lowerFaceHeights(traits);
  const topY = scarf ? mouthY - 0.04 : noseY - 0.18;
  const side = traits.faceWidth * (scarf ? 1.12 : 0.97);
  const bottom = scarf ? traits.chinLength + 0.5 : traits.chinLength + 0.06;
  const lower = scarf ? side : traits.chinWidth + 0.14;
  const half = (sign: number): HeadPoint[] => [
    [sign * 0.4, topY + 0.03, 0.8],
    [sign * side, topY - (scarf ? 0.08 : -0.06), 0.12],
    [sign * Math.max(lower, traits.jawWidth * traits.faceWidth * 1.03), traits.jawHeight + 0.12, 0.2],
    [sign * lower, bottom, 0.25],
  ];
  // Of a turned head the far side of the mask reaches up to the rim, or the mouth would look out.
  const seen = (point: HeadPoint): HeadPoint =>
    drawing.isTurned && point[0] * drawing.conditions.yaw > 0
      ? drawing.onFace(2 * Math.sign(point[0]), point[1], 0.1)
      : point;
  const outline: HeadPoint[] = [[0, topY - 0.03, 0.92], ...half(1), [0, bottom + 0.06, 0.4], ...half(-1).reverse()];
  drawing.path(outline.map(seen), { fill: colour, stroke: shade(colour, 0.7), width: 0.02, closed: true });
  for (const drop of scarf ? [0.1, 0.26, 0.42] : [0.16, 0.28]) {
    const fold: HeadPoint[] = [
      [-0.75 * side, topY + drop + 0.05, 0.4],
      [0, topY + drop, 0.85],
      [0.75 * side, topY + drop + 0.05, 0.4],
    ];
    drawing.path(fold.map(seen), { stroke: shade(colour, 0.75), width: 0.022 });
  }
}

function drawLooseStrand(drawing: HeadDrawing, random: KeyedRandom, hair: Colour): void {
  const sign = random.pick([-1, 1]);
  const start = random.uniform(-0.2, 0.3);
  for (let i = 0; i < 5; i++) {
    const spread = 0.07 * i;
    drawing.path(
      [
        [sign * (start + spread * 0.5), -1.1, 0.4],
        [sign * (0.35 + spread), -0.45, 0.75],
        [sign * (0.42 + spread * 1.2), 0.05 + random.uniform(0, 0.3), 0.7],
      ],
      { stroke: shade(hair, i % 2 === 0 ? 1 : 0.8), width: 0.07 },
    );
  }
}

function drawHat(drawing: HeadDrawing, random: KeyedRandom): void {
  const colour = randomColour(random);
  const { foreheadHeight, foreheadWidth, faceWidth, eyeHeight, browGap } = drawing.traits;
  const brimY = Math.min(-0.42, eyeHeight - browGap - 0.2);
  const side = foreheadWidth * faceWidth + 0.16;
  const top = -foreheadHeight - random.uniform(0.18, 0.34);
  const half = (sign: number): HeadPoint[] => [
    [sign * 0.6 * side, 0.92 * top, 0],
    [sign * 0.98 * side, 0.5 * top + 0.5 * brimY, 0.05],
  ];
  const brim: HeadPoint[] = [
    [side, brimY, 0.1],
    [0.55 * side, brimY - 0.03, 0.6],
    [0, brimY - 0.05, 0.78],
    [-0.55 * side, brimY - 0.03, 0.6],
    [-side, brimY, 0.1],
  ];
  const seen = (points: readonly HeadPoint[]) => points.map((point) => drawing.around(point, 0.12));
  drawing.path(seen([[0, top, 0], ...half(1), ...brim, ...half(-1).reverse()]), { fill: colour, closed: true });
  drawing.path(seen(brim), { stroke: shade(colour, 0.6), width: 0.1 });
}

/** A flat thing held in front of the face, coming in from the picture's edge. */
function drawBlock(drawing: HeadDrawing, random: KeyedRandom): void {
  const side = DRAWING_SIDE;
  const angle = random.uniform(0, 2 * Math.PI);
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
  const near = random.uniform(14, 30);
  const half = random.uniform(12, 30);
  const at = (along: number, across: number) =>
    [side / 2 + dx * along - dy * across, side / 2 + dy * along + dx * across] as const;
  drawing.flatPath([at(near, -half), at(near, half), at(side, half), at(side, -half)], {
    fill: randomColour(random),
    closed: true,
    straight: true,
  });
}
