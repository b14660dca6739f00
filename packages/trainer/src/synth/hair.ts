import { shade } from './colour.js';
import type { Complexion } from './complexion.js';
import type { HeadDrawing, HeadPoint } from './head.js';
import type { Identity } from './identity.js';

export const isBald = (drawing: HeadDrawing): boolean => drawing.traits.baldness > 0.93;

/** The mass of hair behind the head. */
export function drawBackHair(drawing: HeadDrawing, { traits, strands }: Identity, { hair }: Complexion): void {
  if (isBald(drawing)) return;
  const volume = traits.hairVolume * (1 + 1.5 * drawing.conditions.hairChange);
  const width = traits.faceWidth + volume * 0.8;
  const bottom = Math.max(0.15, traits.hairLength * (1 + drawing.conditions.hairChange));
  // Short hair lies close; only long hair has the weight to swing out.
  const flare = (0.04 + 0.18 * traits.hairWave) * Math.min(1, Math.max(-0.6, traits.hairLength / 0.7 - 0.3));
  const wave = (i: number) => 1 + 0.12 * traits.hairWave * strands[i]!;
  const half = (sign: number, first: number): HeadPoint[] => [
    [sign * 0.45, -traits.foreheadHeight - volume * 0.95 * wave(first), -0.15],
    [sign * width * 0.88 * wave(first + 1), -0.72 - volume * 0.3, -0.2],
    [sign * width * wave(first + 2), -0.2, -0.25],
    [sign * (width + flare * 0.3) * wave(first + 3), bottom * 0.5, -0.35],
    [sign * (width + flare) * wave(first + 4), bottom, -0.4],
    [sign * width * 0.45, bottom + 0.08, -0.45],
  ];
  const outline: HeadPoint[] = [[0, -traits.foreheadHeight - volume, -0.1], ...half(1, 0), ...half(-1, 6).reverse()];
  drawing.path(outline, { fill: shade(hair, 0.72), closed: true });
}

/** Hair in front of the forehead: cap, parting, fringe and strands. */
export function drawFrontHair(drawing: HeadDrawing, { traits, strands }: Identity, { hair }: Complexion): void {
  if (isBald(drawing)) return;
  const volume = traits.hairVolume * (1 + 1.5 * drawing.conditions.hairChange);
  const temple = traits.foreheadWidth * traits.faceWidth;
  const top = -traits.foreheadHeight - volume;
  const lineY = -Math.max(traits.hairline, -traits.eyeHeight + traits.browGap + 0.12) - 0.12;
  const recede = traits.baldness > 0.7 ? (traits.baldness - 0.7) * 1.1 : 0;
  const fringeDrop = traits.fringe > 0.55 ? (traits.fringe - 0.55) * 0.75 : 0;
  const sideY = Math.min(0.25, -0.3 + 0.35 * traits.hairLength);
  const part = traits.parting * temple * 0.8;

  // The hairline from the left temple to the right one, high at the parting.
  const stations = [-0.95, -0.66, -0.33, 0, 0.33, 0.66, 0.95];
  const hairline = stations.map((u, i): HeadPoint => {
    const x = u * temple;
    const atPart = Math.exp(-(((x - part) / 0.22) ** 2));
    const y = lineY + 0.26 * u * u + fringeDrop * (1 - 0.9 * atPart) - recede * (0.4 + Math.abs(u)) - 0.1 * atPart;
    return drawing.onFace(x, Math.max(y + 0.05 * traits.hairWave * strands[i]!, top + 0.08), 0.05);
  });
  const side = (sign: number): HeadPoint[] => [
    [sign * (temple + 0.1), sideY, 0.05],
    [sign * (temple + 0.06 + volume * 0.5), -0.25 + 0.1 * strands[8]!, 0],
    [sign * (temple + volume * 0.5), -0.62, 0],
    [sign * 0.5, -traits.foreheadHeight - volume * 0.85, 0.05],
  ];
  const cap: HeadPoint[] = [...side(-1), [0, top, 0.05], ...side(1).reverse()];
  drawing.path([...cap.map((point) => drawing.around(point)), ...hairline.reverse()], {
    fill: hair,
    closed: true,
  });

  for (let i = 0; i < 7; i++) {
    const u = -0.85 + (i * 1.7) / 6 + 0.08 * strands[9 + i]!;
    const tone = i % 2 === 0 ? 1.3 : 0.68;
    const root: HeadPoint = [part * 0.6 + 0.2 * u, top + 0.06, 0.1];
    const bend: HeadPoint = [
      0.6 * u * temple + part * 0.2,
      -0.95 + 0.1 * strands[16 + (i % 8)]! * traits.hairWave,
      0.3,
    ];
    const tip = drawing.onFace(u * temple, lineY + 0.2 * u * u + fringeDrop * 0.6 - recede * 1.2 - 0.05, 0.05);
    drawing.path([drawing.around(root), drawing.around(bend), tip], {
      stroke: shade(hair, tone),
      width: 0.022,
      opacity: 0.5,
    });
  }
}
