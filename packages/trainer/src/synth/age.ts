import { shade } from './colour.js';
import type { Complexion } from './complexion.js';
import type { HeadDrawing, HeadPoint } from './head.js';
import type { Identity, IdentityTraits } from './identity.js';
import { headOutline } from './skin.js';

/** 0 at 20 years and below, 1 at 70, on to 1.2. */
const ageing = (years: number): number => Math.min(1.2, Math.max(0, (years - 20) / 50));

/** Smooth from 0 at `low` to 1 at `high`. */
function rise(value: number, low: number, high: number): number {
  const t = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return t * t * (3 - 2 * t);
}

/**
 * A person at an age. Bones, eyes and marks stay; hair greys and recedes, at this person's own time; lids, cheeks and jaw sink, lips thin, nose and
 * ears grow, and lines come. The young have none of it, and a rounder face.
 */
export function atAge(identity: Identity, years: number): Identity {
  const { traits } = identity;
  const a = ageing(years);
  const youth = 1 - rise(years, 16, 35);
  // Some are grey at 40, some hardly at 70: the trait that says who is grey in a dataset without ages says when.
  const greyness = rise(years - 22 * traits.hairGrey, 30, 62);
  const recession = traits.baldness > 0.45 ? 0.5 * (traits.baldness - 0.45) * rise(years, 28, 70) : 0;
  const changed: Partial<IdentityTraits> = {
    hairGrey: Math.min(traits.hairGrey, 0.78) * (1 - greyness) + greyness, // shows above 0.78
    baldness: Math.min(traits.baldness, 0.7) + recession,
    hairVolume: traits.hairVolume * (1 - 0.3 * Math.min(1, a)),
    folds: 0.05 * traits.folds + 0.75 * Math.min(1, a) ** 1.3,
    eyeBags: 0.1 * traits.eyeBags + 0.65 * Math.min(1, a) ** 1.5,
    eyeOpening: traits.eyeOpening * (1 + 0.1 * youth - 0.2 * a),
    lidCrease: traits.lidCrease + 0.02 * a,
    upperLip: traits.upperLip * (1 + 0.1 * youth - 0.4 * a),
    lowerLip: traits.lowerLip * (1 + 0.1 * youth - 0.35 * a),
    lipRed: traits.lipRed * (1 - 0.6 * Math.min(1, a)),
    mouthCorners: traits.mouthCorners - 0.015 * a,
    noseTip: traits.noseTip * (1 + 0.18 * a),
    noseWidth: traits.noseWidth * (1 + 0.1 * a),
    earSize: traits.earSize * (1 + 0.2 * a),
    jawWidth: Math.min(0.98, traits.jawWidth * (1 + 0.05 * a)),
    cheekHollow: 0.3 * traits.cheekHollow * (1 - youth) + 0.28 * Math.min(1, a),
    blush: traits.blush * (1 - 0.6 * Math.min(1, a)) + 0.12 * youth,
    chinLength: traits.chinLength - 0.05 * youth,
    moustache: traits.moustache * (1 - 0.9 * youth),
    beard: traits.beard * (1 - 0.9 * youth),
  };
  return { ...identity, traits: { ...traits, ...changed }, wrinkles: Math.min(1, a) ** 1.4 };
}

/** Lines of the forehead, between the brows, beside and below the eyes, at the corners of the mouth, and spots: with the amount of `wrinkles`. */
export function drawWrinkles(
  drawing: HeadDrawing,
  { traits, strands, wrinkles = 0 }: Identity,
  { skin, shadow }: Complexion,
): void {
  if (wrinkles < 0.02) return;
  const { eyeHeight, eyeSpacing, eyeWidth, eyeOpening, browGap, mouthWidth, chinLength } = traits;
  const brow = eyeHeight - eyeOpening - browGap;
  const on = (x: number, y: number): HeadPoint => drawing.onFace(x, y, 0.01);
  const line = (points: readonly HeadPoint[], strength: number, width = 0.016) =>
    drawing.path(points, { stroke: shade(shadow, 0.8), width, opacity: Math.min(0.9, strength * wrinkles) });
  drawing.clipped(headOutline(drawing), () => {
    for (let i = 0; i < 4; i++) {
      const y = brow - 0.1 - 0.085 * i;
      const reach = (0.5 - 0.05 * i) * traits.faceWidth * (1 + 0.15 * strands[i]!);
      const bend = 0.03 * strands[4 + i]!;
      line(
        [
          on(-reach, y + 0.03),
          on(-0.4 * reach, y - 0.01 + bend),
          on(0.4 * reach, y - 0.01 - bend),
          on(reach, y + 0.03),
        ],
        0.75,
      );
    }
    for (const sign of [-1, 1]) {
      line([on(sign * 0.045, brow + 0.1), on(sign * 0.055, brow - 0.02)], 0.7);
      const corner = eyeSpacing + eyeWidth;
      for (const slope of [-0.45, -0.1, 0.25, 0.55]) {
        line(
          [
            on(sign * (corner + 0.035), eyeHeight + 0.04 * slope),
            on(sign * (corner + 0.085), eyeHeight + 0.09 * slope),
            on(sign * (corner + 0.135), eyeHeight + 0.17 * slope),
          ],
          0.8,
          0.013,
        );
      }
      for (const drop of [0.1, 0.155]) {
        line(
          [
            on(sign * (eyeSpacing - 0.9 * eyeWidth), eyeHeight + drop),
            on(sign * eyeSpacing, eyeHeight + drop + 0.06),
            on(sign * (eyeSpacing + eyeWidth), eyeHeight + drop),
          ],
          0.55,
        );
      }
      // From the corner of the mouth down, and the sunken jaw beside the chin.
      const low = chinLength - 0.22;
      line(
        [
          on(sign * (mouthWidth + 0.06), low - 0.2),
          on(sign * (mouthWidth + 0.1), low - 0.06),
          on(sign * (mouthWidth + 0.07), low + 0.06),
        ],
        0.8,
        0.02,
      );
      line(
        [
          on(sign * 0.75 * traits.faceWidth, 0.2),
          on(sign * 0.68 * traits.faceWidth, 0.36),
          on(sign * 0.55 * traits.faceWidth, 0.52),
        ],
        0.45,
      );
    }
    for (let i = 0; i < 6; i++) {
      const [x, y] = [0.75 * strands[8 + i]! * traits.faceWidth, 0.1 - 0.6 * strands[14 + i]!];
      drawing.ellipse(x, y, 0.03 + 0.012 * (i % 3), 0.025, { fill: shade(skin, 0.72), opacity: 0.5 * wrinkles });
    }
  });
}
