import { KeyedRandom } from '../data/keyedRandom.js';
import type { SampleControl } from './controls.js';
import { STREAM } from './identity.js';

/** What hides a part of the face. */
export const OCCLUSIONS = ['none', 'glasses', 'sunglasses', 'mask', 'scarf', 'strand', 'hat', 'block'] as const;
export type Occlusion = (typeof OCCLUSIONS)[number];
const OCCLUSION_WEIGHTS: Readonly<Record<Occlusion, number>> = {
  none: 68,
  glasses: 12,
  sunglasses: 4,
  mask: 3,
  scarf: 3,
  strand: 4,
  hat: 3,
  block: 3,
};

/** How a person is seen in one picture. Angles in radians, shifts in 1/112 of the picture's side. */
export interface SampleConditions {
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
  readonly zoom: number;
  readonly shiftX: number;
  readonly shiftY: number;
  readonly smile: number; // -1 frown … 1 smile
  readonly mouthOpen: number; // 0…1
  readonly browRaise: number; // -1…1
  readonly lidOpening: number; // 0.15 nearly closed … 1.3 wide
  readonly gazeX: number;
  readonly gazeY: number;
  readonly hairChange: number; // this day's hair, relative to the usual
  readonly lightAngle: number; // where the light comes from
  readonly lightSlope: number; // 0 even … 1 one side dark
  readonly lightLevel: number; // gain
  readonly temperature: number; // -: blue, +: orange
  readonly contrast: number; // exponent
  readonly blur: number; // deviation, in 1/112 of the side
  readonly noise: number; // deviation, in grey levels of 255
  readonly jpegQuality: number;
  readonly occlusion: Occlusion;
}
export const SAMPLE_CONDITIONS = [
  ...(['yaw', 'pitch', 'roll', 'zoom', 'shiftX', 'shiftY', 'smile', 'mouthOpen', 'browRaise', 'lidOpening'] as const),
  ...(['gazeX', 'gazeY', 'hairChange', 'lightAngle', 'lightSlope', 'lightLevel', 'temperature', 'contrast'] as const),
  ...(['blur', 'noise', 'jpegQuality', 'occlusion'] as const),
] satisfies (keyof SampleConditions)[];

/** Draws the conditions of picture `sample` of person `identity`. */
export function drawSample(
  seed: number,
  identity: number,
  sample: number,
  control: SampleControl = {},
): SampleConditions {
  const drawn = drawFreely(seed, identity, sample);
  const random = new KeyedRandom(seed, STREAM.pose, identity, sample);
  const degrees = control.yaw === undefined ? 0 : control.yaw + random.uniform(-YAW_JITTER_DEGREES, YAW_JITTER_DEGREES);
  const isFree = drawn.occlusion !== 'mask' && drawn.occlusion !== 'scarf';
  return {
    ...drawn,
    ...(control.yaw !== undefined && { yaw: (random.pick([-1, 1]) * degrees * Math.PI) / 180 }),
    ...(control.mask !== undefined && { occlusion: control.mask ? 'mask' : isFree ? drawn.occlusion : 'none' }),
  };
}

/** By which a prescribed yaw varies, so that no two pictures have the very same pose. */
const YAW_JITTER_DEGREES = 3;

function drawFreely(seed: number, identity: number, sample: number): SampleConditions {
  const random = new KeyedRandom(seed, STREAM.sample, identity, sample);
  const spread = (deviation: number, limit: number) => deviation * random.normal(limit / deviation);
  const blink = random.chance(0.06);
  return {
    yaw: spread(0.18, 0.45),
    pitch: spread(0.11, 0.27),
    roll: spread(0.06, 0.16),
    zoom: 1 + spread(0.04, 0.1),
    shiftX: spread(2, 5),
    shiftY: spread(2, 5),
    smile: spread(0.45, 1),
    mouthOpen: Math.max(0, spread(0.4, 1)),
    browRaise: spread(0.5, 1),
    lidOpening: blink ? random.uniform(0.15, 0.4) : 1 + spread(0.13, 0.3),
    gazeX: spread(0.5, 1),
    gazeY: spread(0.3, 1),
    hairChange: spread(0.12, 0.3),
    lightAngle: random.uniform(0, 2 * Math.PI),
    lightSlope: random.uniform(0, 0.7),
    lightLevel: Math.exp(spread(0.22, 0.5)),
    temperature: spread(0.1, 0.25),
    contrast: Math.exp(spread(0.15, 0.4)),
    blur: 1.1 * random.uniform() ** 2,
    noise: 10 * random.uniform() ** 2,
    jpegQuality: random.integer(51) + 45,
    occlusion: drawOcclusion(random),
  };
}

function drawOcclusion(random: KeyedRandom): Occlusion {
  let rest = random.integer(OCCLUSIONS.reduce((sum, name) => sum + OCCLUSION_WEIGHTS[name], 0));
  for (const name of OCCLUSIONS) {
    rest -= OCCLUSION_WEIGHTS[name];
    if (rest < 0) return name;
  }
  return 'none';
}
