import { mix, shade } from './colour.js';
import type { Complexion } from './complexion.js';
import type { HeadDrawing, HeadPoint } from './head.js';
import type { IdentityTraits } from './identity.js';

/** Height of the nose's base and of the mouth's line, in head units. */
export function lowerFaceHeights(traits: IdentityTraits): { noseY: number; mouthY: number } {
  const noseY = traits.eyeHeight + traits.noseLength + 0.04;
  return { noseY, mouthY: noseY + 0.04 + traits.mouthPlace * (traits.chinLength - noseY) };
}

export function drawNose(drawing: HeadDrawing, { skin, shadow }: Complexion): void {
  const { traits, conditions } = drawing;
  const { noseWidth, noseTip, bridgeWidth, noseDepth, nostrils, noseCrook, eyeHeight } = traits;
  const { noseY } = lowerFaceHeights(traits);
  const shadowSide = Math.cos(conditions.lightAngle) > 0 ? -1 : 1;
  const ridge = (share: number): number => noseDepth * (0.25 + 0.75 * share);
  const length = noseY - eyeHeight;
  const at = (x: number, share: number, depth: number): HeadPoint =>
    drawing.onFace(x + noseCrook * Math.sin(share * Math.PI), eyeHeight + length * share, depth);

  if (drawing.isTurned) {
    // Seen from the side the nose stands out over the rim: its skin, from the ridge back to the near cheek.
    const near = conditions.yaw > 0 ? -1 : 1;
    const flank = [
      at(0, -0.12, ridge(0) * 0.6),
      at(0, 0.3, ridge(0.3)),
      at(0, 0.75, ridge(0.85)),
      at(0, 0.96, noseDepth),
      at(0, 1.04, noseDepth * 0.8),
      at(near * noseWidth * 0.6, 1.04, 0.05),
      at(near * noseWidth, 0.95, 0.02),
      at(near * (bridgeWidth + 0.05), 0.4, 0),
    ];
    drawing.path(flank, { fill: skin, closed: true });
    drawing.path(flank.slice(0, 5), { stroke: shade(skin, 0.62), width: 0.018 });
  }

  // The flank away from the light, then the lit ridge.
  drawing.path(
    [
      at(shadowSide * bridgeWidth, -0.05, ridge(0)),
      at(shadowSide * (bridgeWidth + 0.01), 0.5, ridge(0.5)),
      at(shadowSide * noseTip * 0.8, 0.86, ridge(0.95)),
      at(shadowSide * noseWidth, 0.96, 0.05),
      at(shadowSide * (bridgeWidth + 0.07), 0.45, 0.03),
    ],
    { fill: shadow, opacity: 0.34, closed: true },
  );
  for (const sign of [-1, 1]) {
    drawing.path(
      [
        at(sign * bridgeWidth, 0, ridge(0)),
        at(sign * bridgeWidth, 0.4, ridge(0.4)),
        at(sign * (bridgeWidth + 0.01), 0.7, ridge(0.7)),
      ],
      {
        stroke: shadow,
        width: 0.018,
        opacity: sign === shadowSide ? 0.6 : 0.25,
      },
    );
    const wing = [
      at(sign * noseWidth * 0.92, 0.8, 0.08),
      at(sign * noseWidth, 0.93, 0.07),
      at(sign * noseWidth * 0.75, 1.02, 0.1),
    ];
    drawing.path(wing, { stroke: shade(shadow, 0.9), width: 0.03, opacity: 0.8 });
    drawing.path(
      [
        at(sign * (noseWidth * 0.55 - nostrils), 0.99, noseDepth * 0.5),
        at(sign * noseWidth * 0.55, 0.965, noseDepth * 0.5),
        at(sign * (noseWidth * 0.55 + nostrils * 1.2), 1.0, noseDepth * 0.4),
        at(sign * noseWidth * 0.55, 1.015, noseDepth * 0.5),
      ],
      { fill: shade(shadow, 0.45), stroke: shade(shadow, 0.45), width: 0.012 + nostrils * 0.5, closed: true },
    );
  }
  drawing.path(
    [at(-noseTip, 0.97, noseDepth * 0.85), at(0, 1.03, noseDepth * 0.95), at(noseTip, 0.97, noseDepth * 0.85)],
    {
      stroke: shadow,
      width: 0.026,
      opacity: 0.75,
    },
  );
  drawing.path([at(0, 0.1, ridge(0.1)), at(0, 0.5, ridge(0.5)), at(0, 0.8, ridge(0.9))], {
    stroke: mix(skin, [255, 250, 240], 0.6),
    width: 0.025 + bridgeWidth * 0.5,
    opacity: 0.35,
  });
}

export function drawMouth(drawing: HeadDrawing, { shadow, lip }: Complexion): void {
  const { traits, conditions } = drawing;
  const { smile } = conditions;
  const { noseY, mouthY } = lowerFaceHeights(traits);
  const width = traits.mouthWidth * (1 + 0.16 * Math.max(0, smile) - 0.08 * conditions.mouthOpen);
  const corner = -0.055 * smile - traits.mouthCorners;
  const gap = 0.16 * conditions.mouthOpen;
  const full = 1 - 0.15 * Math.max(0, smile);
  const at = (u: number, v: number, lift = 0.05): HeadPoint => drawing.onFace(u * width, mouthY + v, lift);
  const line = (offset: number): HeadPoint[] => [
    at(-0.5, corner * 0.35 + offset),
    at(0, offset),
    at(0.5, corner * 0.35 + offset),
  ];
  const left = at(-1, corner, 0.01);
  const right = at(1, corner, 0.01);

  if (gap > 0.02) {
    drawing.path([left, ...line(-gap * 0.3), right, ...line(gap * 0.7).reverse()], {
      fill: [66, 22, 24],
      closed: true,
    });
    const teeth = [
      at(-0.6, corner * 0.5 - gap * 0.2),
      ...line(-gap * 0.3),
      at(0.6, corner * 0.5 - gap * 0.2),
      ...line(gap * 0.1).reverse(),
    ];
    drawing.path(teeth, { fill: [236, 230, 220], closed: true });
  }
  const upper = traits.upperLip * full;
  const bow = Math.min(traits.cupidBow, upper * 0.7);
  const upperEdge = [
    at(-0.55, corner * 0.5 - upper * 0.75),
    at(-0.2, -upper),
    at(0, -upper + bow),
    at(0.2, -upper),
    at(0.55, corner * 0.5 - upper * 0.75),
  ];
  drawing.path(
    [left, ...upperEdge.map(([x, y, z]): HeadPoint => [x, y - gap * 0.3, z]), right, ...line(-gap * 0.3).reverse()],
    {
      fill: shade(lip, 0.88),
      closed: true,
    },
  );
  const lower = traits.lowerLip * full;
  const lowerEdge = [at(0.55, corner * 0.45 + lower * 0.7), at(0, lower), at(-0.55, corner * 0.45 + lower * 0.7)];
  drawing.path([left, ...line(gap * 0.7), right, ...lowerEdge.map(([x, y, z]): HeadPoint => [x, y + gap * 0.7, z])], {
    fill: lip,
    closed: true,
  });
  if (gap <= 0.02) drawing.path([left, ...line(0), right], { stroke: shade(lip, 0.42), width: 0.024 });
  drawing.path(
    [at(-0.3, lower + gap * 0.7 + 0.05), at(0, lower + gap * 0.7 + 0.06), at(0.3, lower + gap * 0.7 + 0.05)],
    {
      stroke: shadow,
      width: 0.03,
      opacity: 0.35,
    },
  );
  for (const sign of [-1, 1]) {
    const fold = traits.folds * (0.6 + 0.4 * Math.max(0, smile));
    drawing.path(
      [
        drawing.onFace(sign * (traits.noseWidth + 0.03), noseY - 0.05),
        drawing.onFace(sign * (traits.noseWidth + 0.1), (noseY + mouthY) / 2),
        drawing.onFace(sign * (width + 0.07), mouthY + corner),
      ],
      { stroke: shadow, width: 0.022, opacity: fold },
    );
  }
}
