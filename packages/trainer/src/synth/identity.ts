import { KeyedRandom } from '../data/keyedRandom.js';

/** Separates the streams that share a dataset's seed. */
export const STREAM = {
  identity: 1,
  marks: 2,
  strands: 3,
  sample: 4,
  scene: 5,
  sensor: 6,
  controls: 7,
  pose: 8,
} as const;

/**
 * What makes a person: independent parameters, each uniform in its range. Lengths are in head units (the half height of a
 * head is about 1; x to the right, y down, z towards the camera), angles in radians, tones and amounts in 0…1.
 */
const IDENTITY_RANGES = {
  faceWidth: [0.68, 0.9], // half width at the cheekbones
  foreheadWidth: [0.8, 0.99], // of faceWidth
  jawWidth: [0.62, 0.95], // of faceWidth
  jawHeight: [0.42, 0.66],
  chinWidth: [0.16, 0.44],
  chinLength: [0.94, 1.16],
  foreheadHeight: [0.98, 1.2],
  asymmetry: [-0.03, 0.03],

  eyeSpacing: [0.27, 0.42], // from the middle of the face to the middle of an eye
  eyeHeight: [-0.2, 0.03],
  eyeWidth: [0.12, 0.195], // half width
  eyeOpening: [0.05, 0.12],
  eyeTilt: [-0.24, 0.24],
  eyePeak: [-0.45, 0.45], // where the upper lid is highest, of eyeWidth
  lowerLid: [0.3, 0.8], // of eyeOpening
  irisSize: [0.058, 0.088],
  irisTone: [0, 1],
  lidCrease: [0, 0.06],
  lashes: [0.012, 0.04],
  eyeBags: [0, 0.5],

  browGap: [0.11, 0.22],
  browLength: [0.14, 0.27], // half length
  browThickness: [0.025, 0.095],
  browArch: [-0.02, 0.09],
  browTilt: [-0.24, 0.24],
  browTone: [-0.35, 0.35], // lighter or darker than the hair

  noseLength: [0.3, 0.52],
  noseWidth: [0.09, 0.21],
  noseTip: [0.045, 0.12],
  bridgeWidth: [0.025, 0.085],
  noseDepth: [0.1, 0.36],
  nostrils: [0.012, 0.042],
  noseCrook: [-0.04, 0.04],

  mouthPlace: [0.3, 0.52], // between the tip of the nose and the chin
  mouthWidth: [0.17, 0.37],
  upperLip: [0.022, 0.09],
  lowerLip: [0.035, 0.115],
  cupidBow: [0, 0.05],
  mouthCorners: [-0.05, 0.05],
  lipRed: [0, 1],

  earSize: [0.13, 0.28],
  earOut: [0.03, 0.15],
  earHeight: [-0.12, 0.12],

  skinTone: [0, 1],
  skinRed: [-1, 1],
  hairTone: [0, 1],
  hairRed: [0, 1],
  hairGrey: [0, 1],
  hairVolume: [0.05, 0.26],
  hairLength: [-0.4, 1.5],
  hairline: [0.34, 0.66], // height above the middle of the face
  hairWave: [0, 1],
  parting: [-0.6, 0.6],
  fringe: [0, 1],
  baldness: [0, 1],

  cheekHollow: [0, 0.45],
  blush: [0, 0.45],
  folds: [0, 0.55],
  freckles: [0, 1],
  moustache: [0, 1],
  beard: [0, 1],
} as const satisfies Record<string, readonly [number, number]>;

export type IdentityTraits = { readonly [Name in keyof typeof IDENTITY_RANGES]: number };
export const IDENTITY_TRAITS = Object.keys(IDENTITY_RANGES) as (keyof IdentityTraits)[];

/** A mole or a freckle on the skin, in head units. */
export interface SkinMark {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly opacity: number;
}

export interface Identity {
  readonly traits: IdentityTraits;
  readonly marks: readonly SkinMark[];
  /** Offsets in [-1, 1] that give this person's hair its irregularity. */
  readonly strands: readonly number[];
  /** 0…1; none where no age was asked for. */
  readonly wrinkles?: number;
}

/**
 * Draws person `identity` of the dataset named by `seed`.
 * @param band Of `count` equal parts of the range of skin tones the one, from 0, that the person's is to lie in.
 */
export function drawIdentity(
  seed: number,
  identity: number,
  band: { readonly index: number; readonly count: number } = { index: 0, count: 1 },
): Identity {
  const random = new KeyedRandom(seed, STREAM.identity, identity);
  const drawn = Object.fromEntries(
    IDENTITY_TRAITS.map((name) => [name, random.uniform(...IDENTITY_RANGES[name])]),
  ) as unknown as IdentityTraits;
  const traits = { ...drawn, skinTone: (band.index + drawn.skinTone) / band.count };
  const strandRandom = new KeyedRandom(seed, STREAM.strands, identity);
  return {
    traits,
    marks: drawMarks(new KeyedRandom(seed, STREAM.marks, identity), traits),
    strands: Array.from({ length: 24 }, () => strandRandom.uniform(-1, 1)),
  };
}

function drawMarks(random: KeyedRandom, traits: IdentityTraits): SkinMark[] {
  const marks: SkinMark[] = [];
  const moles = random.pick([0, 0, 0, 1, 1, 2, 3]);
  for (let i = 0; i < moles; i++) {
    marks.push({
      x: random.uniform(-0.8, 0.8) * traits.faceWidth,
      y: random.uniform(-0.5, 0.8),
      radius: random.uniform(0.016, 0.034),
      opacity: random.uniform(0.6, 0.9),
    });
  }
  const freckles = traits.freckles > 0.75 ? Math.round((traits.freckles - 0.7) * 90) : 0;
  for (let i = 0; i < freckles; i++) {
    marks.push({
      x: random.uniform(-0.7, 0.7) * traits.faceWidth,
      y: random.uniform(0, 0.42),
      radius: random.uniform(0.008, 0.016),
      opacity: random.uniform(0.3, 0.6),
    });
  }
  return marks;
}
