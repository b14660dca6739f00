import type { Range } from './image.js';
import type { Fill } from './erase.js';
import type { Interpolation } from './resample.js';

/**
 * What is done to images in training, in the order it is done: what covers the face, then the camera's view, its
 * resolution, colours and codec. Absent: not done. Ranges are drawn from uniformly.
 */
export interface AugmentPlan {
  /** A drawn mask over the lower face, of faces aligned to ArcFace's template; any shape and colour. */
  readonly mask?: { readonly probability: number; readonly top: Range };
  /** A random rectangle, enlarged to the whole (`resize`) or alone on black (`pad`). `area`: share; `aspect`: width/height. */
  readonly crop?: { readonly probability: number; readonly mode: 'resize' | 'pad'; readonly area: Range; readonly aspect: Range };
  /** Each of the four sides cut by a share of the side, the rest enlarged. */
  readonly trim?: { readonly probability: number; readonly share: Range };
  readonly rotate?: { readonly probability: number; readonly degrees: Range; readonly about: 'centre' | 'corner' };
  /** Shrunk to `scale` of the side and enlarged back, by two of the interpolations. */
  readonly lowResolution?: { readonly probability: number; readonly scale: Range; readonly interpolations: readonly Interpolation[] };
  /** In random order. Factors (1: as it is) and, for the hue, turns of the colour circle (0: as it is). */
  readonly photometric?: {
    readonly probability: number;
    readonly brightness: Range;
    readonly contrast: Range;
    readonly saturation: Range;
    readonly hue: Range;
  };
  readonly grey?: { readonly probability: number };
  /** Standard deviation in pixels of a 112 × 112 image. */
  readonly blur?: { readonly probability: number; readonly sigma: Range };
  readonly jpeg?: { readonly probability: number; readonly quality: Range };
  /** A rectangle covered: random erasing; cutout with `fill: black` and an aspect of 1. */
  readonly erase?: { readonly probability: number; readonly area: Range; readonly aspect: Range; readonly fill: Fill };
}

/** In the order they are done. */
export const OPERATIONS = ['mask', 'crop', 'trim', 'rotate', 'lowResolution', 'photometric', 'grey', 'blur', 'jpeg', 'erase'] as const;
export type Operation = (typeof OPERATIONS)[number];

const ALL = ['nearest', 'linear', 'area', 'cubic', 'lanczos4'] as const;
const SAME: Range = [1, 1];
const ASPECT: Range = [3 / 4, 4 / 3];

/** What a section leaves out. The sizes of torchvision's classes where there are such; else mild. */
export const OPERATION_DEFAULTS: Required<AugmentPlan> = {
  mask: { probability: 0.1, top: [-0.6, 0.2] },
  crop: { probability: 0.2, mode: 'resize', area: [0.7, 1], aspect: ASPECT },
  trim: { probability: 0.5, share: [0, 0.08] },
  rotate: { probability: 0.2, degrees: [-10, 10], about: 'centre' },
  lowResolution: { probability: 0.2, scale: [0.2, 1], interpolations: ALL },
  photometric: { probability: 0.2, brightness: [0.5, 1.5], contrast: [0.5, 1.5], saturation: [0.5, 1.5], hue: [0, 0] },
  grey: { probability: 0.1 },
  blur: { probability: 0.1, sigma: [0.1, 2] },
  jpeg: { probability: 0.1, quality: [30, 95] },
  erase: { probability: 0.1, area: [0.02, 0.33], aspect: [0.3, 3.3], fill: 'noise' },
};

/**
 * Augmentations that published systems train with; mirroring is `data.flip`. Sources: the systems' code.
 * - adaface: AdaFace (Kim et al., CVPR 2022), each of three with probability 0.2.
 * - arcface-torch-dali: `dali_aug` of InsightFace's arcface_torch; its windows of 3 and 5 pixels as standard deviations.
 * - facex-zoo: FaceX-Zoo (Wang et al., ACM MM 2021), its semi-siamese training; about the top left corner as there.
 * - robust: ours, a bit of everything, for faces from the wild.
 */
export const AUGMENT_PRESETS = {
  adaface: {
    crop: { probability: 0.2, mode: 'pad', area: [0.2, 1], aspect: ASPECT },
    lowResolution: { probability: 0.2, scale: [0.2, 1], interpolations: ALL },
    photometric: { probability: 0.2, brightness: [0.5, 1.5], contrast: [0.5, 1.5], saturation: [0.5, 1.5], hue: [0, 0] },
  },
  'arcface-torch-dali': {
    lowResolution: { probability: 0.1, scale: [0.5, 0.8], interpolations: ['linear'] },
    photometric: { probability: 0.2, brightness: SAME, contrast: SAME, saturation: [1, 1.2], hue: [0, 20 / 360] },
    grey: { probability: 0.1 },
    blur: { probability: 0.2, sigma: [0.8, 1.1] },
  },
  'facex-zoo': {
    trim: { probability: 0.5, share: [0, 8 / 112] },
    rotate: { probability: 0.5, degrees: [-10, 10], about: 'corner' },
    grey: { probability: 0.2 },
  },
  robust: {
    mask: { probability: 0.1, top: [-0.6, 0.2] },
    crop: { probability: 0.2, mode: 'resize', area: [0.7, 1], aspect: ASPECT },
    lowResolution: { probability: 0.2, scale: [0.2, 1], interpolations: ALL },
    photometric: { probability: 0.3, brightness: [0.6, 1.4], contrast: [0.6, 1.4], saturation: [0.6, 1.4], hue: [-0.03, 0.03] },
    grey: { probability: 0.05 },
    blur: { probability: 0.1, sigma: [0.1, 2] },
    jpeg: { probability: 0.1, quality: [30, 95] },
    erase: { probability: 0.1, area: [0.02, 0.2], aspect: [0.3, 3.3], fill: 'noise' },
  },
} as const satisfies Record<string, AugmentPlan>;

export type AugmentPreset = keyof typeof AUGMENT_PRESETS;
export const AUGMENT_PRESET_NAMES = Object.keys(AUGMENT_PRESETS) as [AugmentPreset, ...AugmentPreset[]];

/** Each operation's section with parts left out. */
export type AugmentSections = { readonly [Name in Operation]?: { readonly [Key in keyof Required<AugmentPlan>[Name]]?: Required<AugmentPlan>[Name][Key] | undefined } | undefined };

/** A preset, what `sections` change in it, and for the rest of a section {@link OPERATION_DEFAULTS}. */
export function resolvePlan(sections: AugmentSections, preset?: AugmentPreset): AugmentPlan {
  const base: AugmentPlan = preset === undefined ? {} : AUGMENT_PRESETS[preset];
  const entries = OPERATIONS.flatMap((name) => {
    const own = sections[name];
    if (own === undefined && base[name] === undefined) return [];
    const given = Object.fromEntries(Object.entries(own ?? {}).filter(([, value]) => value !== undefined));
    return [[name, { ...OPERATION_DEFAULTS[name], ...base[name], ...given }]];
  });
  return Object.fromEntries(entries) as AugmentPlan;
}
