import { mix, shade } from './colour.js';
import type { Complexion } from './complexion.js';
import { isBald } from './hair.js';
import type { HeadDrawing, HeadPoint } from './head.js';
import type { Identity, IdentityTraits } from './identity.js';

/** The right half of the head's outline seen from the front, from crown to chin: [x, y] in head units. */
function halfOutline(traits: IdentityTraits): [x: number, y: number][] {
  const { faceWidth, foreheadHeight, foreheadWidth, jawWidth, jawHeight, chinWidth, chinLength } = traits;
  return [
    [0, -foreheadHeight],
    [0.58 * foreheadWidth * faceWidth, -0.86 * foreheadHeight],
    [foreheadWidth * faceWidth, -0.45],
    [faceWidth, 0.02],
    [(jawWidth + 1) * 0.5 * faceWidth + 0.02, jawHeight * 0.62],
    [jawWidth * faceWidth, jawHeight],
    [chinWidth + 0.12, chinLength - 0.16],
    [chinWidth * 0.6, chinLength - 0.02],
    [0, chinLength],
  ];
}

/**
 * The outline of the turned head. Slices of the head at several depths are turned, and at each place the outermost
 * slice counts: so a turned face keeps a full far cheek instead of losing its eye over the rim.
 * @param grow Enlarges the outline (hats, hair).
 */
export function headOutline(drawing: HeadDrawing, grow = 0): HeadPoint[] {
  const half = halfOutline(drawing.traits);
  const lean = drawing.traits.asymmetry;
  const full = [
    ...half,
    ...half
      .slice(1, -1)
      .reverse()
      .map(([x, y]) => [-x, y] as [number, number]),
  ];
  const { yaw, pitch } = drawing.conditions;
  return full.map(([x, y]) => {
    const [rimX, rimY] = [x * (1 + grow) + lean * y, y * (1 + grow)];
    if (drawing.isTurned && x * yaw >= 0) return drawing.onFace(rimX, rimY);
    const slices = [
      [1, 0],
      [0.93, 0.3],
      [0.8, 0.48],
    ].map(([share, depth]): HeadPoint => [rimX * share!, rimY * (0.4 + 0.6 * share!), depth!]);
    const outward = (point: HeadPoint) =>
      x * (point[0] * Math.cos(yaw) + point[2] * Math.sin(yaw)) + y * (point[1] - point[2] * Math.sin(pitch)) * 0.7;
    return slices.reduce((best, point) => (outward(point) > outward(best) ? point : best));
  });
}

/** The back of a turned head, in the colour of the hair or of a bald head's skin. */
export function drawBackOfHead(drawing: HeadDrawing, { traits }: Identity, { hair, skin }: Complexion): void {
  if (!drawing.isTurned) return;
  const { yaw } = drawing.conditions;
  const volume = isBald(drawing) ? 0 : 0.7 * traits.hairVolume;
  const [c, s] = [Math.cos(yaw), Math.sin(yaw)];
  // An ellipsoid's outline: its half width as seen, turned back into the head's own coordinates.
  const half = Math.hypot((traits.faceWidth + volume) * c, (0.78 + volume) * s);
  const outline = Array.from({ length: 12 }, (_, i): HeadPoint => {
    const u = half * Math.cos((i * Math.PI) / 6);
    const y = -0.3 + (traits.foreheadHeight - 0.25 + volume) * Math.sin((i * Math.PI) / 6);
    return [u * c, y, u * s - 0.12];
  });
  drawing.path(outline, { fill: shade(isBald(drawing) ? skin : hair, 0.8), closed: true });
}

/** Neck, shoulders and ears: what lies behind the face. */
export function drawBehindFace(
  drawing: HeadDrawing,
  { skin }: Complexion,
  clothing: Parameters<typeof shade>[0],
): void {
  const { traits } = drawing;
  const neck = traits.jawWidth * traits.faceWidth * 0.78;
  const side = (sign: number): HeadPoint[] => [
    [sign * neck, 0.5, -0.35],
    [sign * neck, 1.25, -0.3],
    [sign * (neck + 0.25), 1.5, -0.3],
  ];
  drawing.path([...side(-1), ...side(1).reverse()], { fill: shade(skin, 0.72), closed: true });
  drawing.path(
    [
      [-2.2, 2.6, -0.4],
      [-1.5, 1.62, -0.4],
      [-neck - 0.1, 1.36, -0.3],
      [0, 1.55, -0.1],
      [neck + 0.1, 1.36, -0.3],
      [1.5, 1.62, -0.4],
      [2.2, 2.6, -0.4],
    ],
    { fill: clothing, closed: true },
  );
  for (const sign of [-1, 1]) {
    const { earSize, earOut, earHeight, faceWidth } = traits;
    const at = (outward: number, y: number): HeadPoint => [
      sign * (faceWidth - 0.06 + outward),
      earHeight + y,
      -0.05 - outward,
    ];
    const ear = [
      at(0, -earSize),
      at(earOut + 0.04, -0.9 * earSize),
      at(earOut + 0.05, -0.1 * earSize),
      at(0.05, earSize),
      at(0, 0.8 * earSize),
    ];
    drawing.path(ear, { fill: shade(skin, 0.9), stroke: shade(skin, 0.6), width: 0.018, closed: true });
    drawing.path([at(0.03, -0.5 * earSize), at(earOut * 0.8, -0.4 * earSize), at(earOut * 0.5, 0.3 * earSize)], {
      stroke: shade(skin, 0.6),
      width: 0.02,
    });
  }
}

/** The skin of the face with the shadows of its relief, blush and marks. */
export function drawFaceSkin(drawing: HeadDrawing, identity: Identity, { skin, shadow }: Complexion): void {
  const { traits, conditions } = drawing;
  const outline = headOutline(drawing);
  const [lightX, lightY] = drawing.project(
    drawing.onFace(0.4 * Math.cos(conditions.lightAngle), 0.4 * Math.sin(conditions.lightAngle) - 0.1),
  );
  drawing.definitions.push(
    `<radialGradient id="skin" gradientUnits="userSpaceOnUse" cx="${lightX.toFixed(1)}" cy="${lightY.toFixed(1)}" r="62">` +
      `<stop offset="0" stop-color="rgb(${shade(skin, 1.06).map(Math.round).join(',')})"/>` +
      `<stop offset="0.5" stop-color="rgb(${skin.map(Math.round).join(',')})"/>` +
      `<stop offset="1" stop-color="rgb(${shade(skin, 0.7).map(Math.round).join(',')})"/></radialGradient>`,
  );
  drawing.path(outline, { fill: 'url(#skin)', stroke: shade(skin, 0.62), width: 0.022, closed: true });
  drawing.clipped(outline, () => {
    for (const sign of [-1, 1]) {
      const cheekX = sign * 0.62 * traits.faceWidth;
      drawing.ellipse(cheekX, 0.3, 0.17, 0.12, { fill: mix(skin, [216, 70, 70], 0.6), opacity: traits.blush * 0.6 });
      drawing.path(
        [
          drawing.onFace(sign * 0.93 * traits.faceWidth, 0.12),
          drawing.onFace(sign * 0.6 * traits.faceWidth, 0.42),
          drawing.onFace(sign * 0.66 * traits.jawWidth * traits.faceWidth, 0.62),
          drawing.onFace(sign * 0.98 * traits.jawWidth * traits.faceWidth, 0.6),
        ],
        { fill: shadow, opacity: traits.cheekHollow * 0.55, closed: true },
      );
    }
    for (const { x, y, radius, opacity } of identity.marks) {
      drawing.ellipse(x, y, radius, radius, { fill: shade(shadow, 0.75), opacity });
    }
  });
}

/** Moustache and beard, on top of the skin and below the mouth's lines. */
export function drawFacialHair(drawing: HeadDrawing, { hair }: Complexion, mouthY: number, noseBaseY: number): void {
  const { traits } = drawing;
  const colour = shade(hair, 0.9);
  if (traits.beard > 0.74) {
    const depth = (traits.beard - 0.74) / 0.26;
    const jaw = traits.jawWidth * traits.faceWidth;
    const cheek = 0.5 - 0.3 * depth;
    const rim = [
      [0.99 * traits.faceWidth, 0.05],
      [0.98 * jaw + 0.04, traits.jawHeight],
      [traits.chinWidth + 0.1, traits.chinLength - 0.13],
      [0, traits.chinLength + 0.04],
    ] as const;
    const inner = [
      [0, mouthY + 0.17],
      [traits.mouthWidth + 0.06, mouthY + 0.12],
      [traits.mouthWidth + 0.14, mouthY - 0.06],
      [0.82 * traits.faceWidth, cheek - 0.1],
    ] as const;
    const right = [...rim, ...inner];
    const opacity = 0.35 + 0.55 * depth;
    drawing.clipped(headOutline(drawing, 0.03), () => {
      for (const sign of [-1, 1]) {
        drawing.path(
          right.map(([x, y]) => drawing.onFace(sign * x, y)),
          { fill: colour, opacity, closed: true, straight: true },
        );
      }
    });
  }
  if (traits.moustache > 0.76) {
    const thick = 0.04 + 0.25 * (traits.moustache - 0.76);
    const y = mouthY - traits.upperLip - 0.01;
    const width = traits.mouthWidth * 1.05;
    const points: [number, number][] = [
      [-width, y + 0.07],
      [-0.5 * width, y - thick],
      [0, Math.max(noseBaseY + 0.03, y - thick * 0.9)],
      [0.5 * width, y - thick],
      [width, y + 0.07],
      [0, y + 0.01],
    ];
    drawing.path(
      points.map(([px, py]) => drawing.onFace(px, py, 0.06)),
      { fill: colour, opacity: 0.85, closed: true },
    );
  }
}
