import { shade } from './colour.js';
import type { Complexion } from './complexion.js';
import type { HeadDrawing, HeadPoint } from './head.js';

/** Eyes with their lids, and brows. */
export function drawEyes(drawing: HeadDrawing, complexion: Complexion): void {
  for (const sign of [-1, 1]) {
    drawEye(drawing, complexion, sign);
    drawBrow(drawing, complexion, sign);
  }
}

/** Maps a point in an eye's own frame (u outward, v down) to the face. */
function eyeFrame(drawing: HeadDrawing, sign: number): (u: number, v: number, lift?: number) => HeadPoint {
  const { eyeSpacing, eyeHeight, eyeTilt, asymmetry } = drawing.traits;
  const [c, s] = [Math.cos(eyeTilt), Math.sin(eyeTilt)];
  return (u, v, lift = 0) =>
    drawing.onFace(sign * (eyeSpacing + u * c + v * s), eyeHeight - u * s + v * c + sign * asymmetry * 0.5, lift);
}

function drawEye(drawing: HeadDrawing, { skin, shadow, iris }: Complexion, sign: number): void {
  const { traits, conditions } = drawing;
  const { eyeWidth, eyePeak, lidCrease, lashes } = traits;
  const at = eyeFrame(drawing, sign);
  const opening = traits.eyeOpening * conditions.lidOpening * (1 - 0.2 * Math.max(0, conditions.smile));
  const low = traits.eyeOpening * traits.lowerLid * Math.min(1, 0.5 + 0.5 * conditions.lidOpening);
  const peak = eyePeak * eyeWidth;
  const lid = (raise: number): HeadPoint[] => [
    at(-eyeWidth, 0.015 - raise * 0.3),
    at((peak - eyeWidth) * 0.55, -0.72 * opening - raise * 0.8),
    at(peak, -opening - raise),
    at((peak + eyeWidth) * 0.55, -0.72 * opening - raise),
    at(eyeWidth, -raise * 0.7),
  ];
  const upper = lid(0);
  const outline = [...upper, at(0.55 * eyeWidth, 0.7 * low), at(0, low), at(-0.55 * eyeWidth, 0.75 * low)];

  drawing.path([at(-0.8 * eyeWidth, low + 0.04), at(0, low + 0.085), at(0.8 * eyeWidth, low + 0.045)], {
    stroke: shadow,
    width: 0.03,
    opacity: traits.eyeBags,
  });
  drawing.path(outline, { fill: [238, 234, 230], closed: true });
  drawing.clipped(outline, () => {
    const gazeU = sign * conditions.gazeX * 0.045;
    const gazeV = conditions.gazeY * 0.02 + (low - opening) * 0.3;
    const disc = (radius: number) =>
      Array.from({ length: 8 }, (_, i) =>
        at(gazeU + radius * Math.cos((i * Math.PI) / 4), gazeV + radius * Math.sin((i * Math.PI) / 4)),
      );
    drawing.path(disc(traits.irisSize), { fill: iris, stroke: shade(iris, 0.45), width: 0.014, closed: true });
    drawing.path(disc(traits.irisSize * 0.45), { fill: [12, 10, 10], closed: true });
    const glint = at(gazeU + 0.02 * sign, gazeV - 0.022);
    drawing.path([glint, [glint[0] + 0.014, glint[1], glint[2]]], { stroke: [255, 255, 255], width: 0.022 });
  });
  drawing.path(upper, { stroke: [36, 24, 22], width: lashes });
  drawing.path([at(-eyeWidth * 0.9, 0.02), at(0, low), at(eyeWidth, 0)], { stroke: shade(skin, 0.5), width: 0.012 });
  if (lidCrease > 0.015) drawing.path(lid(lidCrease), { stroke: shadow, width: 0.016, opacity: 0.75 });
}

function drawBrow(drawing: HeadDrawing, { brow }: Complexion, sign: number): void {
  const { traits, conditions } = drawing;
  const { browLength, browThickness, browArch, browTilt, browGap, eyeOpening, eyeHeight, eyeSpacing } = traits;
  const middleY = eyeHeight - eyeOpening - browGap + 0.02 - 0.045 * conditions.browRaise;
  const frown = conditions.smile < 0 ? -0.08 * conditions.smile : 0;
  const at = (u: number, v: number): HeadPoint => {
    const along = u * browLength;
    return drawing.onFace(sign * (eyeSpacing + 0.01 + along), middleY - along * (browTilt + frown) + v, 0.04);
  };
  const bend = (u: number) => -browArch * (1 - (u - 0.25) ** 2 * 1.2);
  const stations = [-1, -0.5, 0, 0.45, 1];
  const thickness = (u: number) => browThickness * (u < 0.3 ? 1 : 1 - (u - 0.3) * 1.2) * 0.5;
  const top = stations.map((u) => at(u, bend(u) - thickness(u)));
  const bottom = stations.map((u) => at(u, bend(u) + thickness(u))).reverse();
  drawing.path([...top, ...bottom], { fill: brow, opacity: 0.92, closed: true });
}
