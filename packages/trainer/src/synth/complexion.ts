import { mix, palette, shade, type Colour } from './colour.js';
import type { IdentityTraits } from './identity.js';

/** The colours of a person. */
export interface Complexion {
  readonly skin: Colour;
  readonly shadow: Colour;
  readonly lip: Colour;
  readonly hair: Colour;
  readonly brow: Colour;
  readonly iris: Colour;
}

const SKIN: readonly Colour[] = [
  [246, 214, 190],
  [232, 190, 158],
  [212, 162, 124],
  [176, 124, 88],
  [134, 90, 64],
  [98, 66, 50],
];
const HAIR: readonly Colour[] = [
  [26, 22, 22],
  [58, 40, 30],
  [98, 66, 42],
  [146, 104, 62],
  [206, 172, 112],
];
const IRIS: readonly Colour[] = [
  [48, 30, 20],
  [104, 66, 34],
  [134, 116, 60],
  [84, 120, 84],
  [78, 124, 166],
  [140, 152, 164],
];

export function complexionOf(traits: IdentityTraits): Complexion {
  const tone = palette(SKIN, traits.skinTone);
  const skin: Colour = [tone[0] + 6 * traits.skinRed, tone[1] - 5 * traits.skinRed, tone[2] - 4 * traits.skinRed];
  const natural = mix(
    palette(HAIR, traits.hairTone),
    [150, 62, 30],
    traits.hairRed > 0.75 ? (traits.hairRed - 0.75) * 3 : 0,
  );
  const hair = mix(natural, [190, 188, 186], traits.hairGrey > 0.78 ? (traits.hairGrey - 0.78) * 4 : 0);
  return {
    skin,
    shadow: mix(shade(skin, 0.55), [70, 30, 30], 0.25),
    lip: mix(shade(skin, 0.8), [178, 56, 66], 0.25 + 0.5 * traits.lipRed),
    hair,
    brow: mix(hair, traits.browTone > 0 ? [200, 180, 150] : [15, 12, 12], Math.abs(traits.browTone)),
    iris: palette(IRIS, traits.irisTone),
  };
}
