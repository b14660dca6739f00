import * as z from 'zod';

import { FILLS } from '../data/augment/erase.js';
import {
  AUGMENT_PRESET_NAMES,
  AUGMENT_PRESETS,
  OPERATION_DEFAULTS as DEFAULTS,
  OPERATIONS,
  type AugmentPreset,
} from '../data/augment/plan.js';
import { INTERPOLATIONS } from '../data/augment/resample.js';
import { oneOf, real } from './fields.js';

/** Two numbers [low, high], drawn from uniformly. */
function range(min: number, max: number, openMin = false): z.ZodType<readonly [number, number]> {
  const error = `expected [low, high] with ${min} ${openMin ? '<' : '≤'} low ≤ high ≤ ${max}`;
  const inside = (value: number): boolean => (openMin ? value > min : value >= min) && value <= max;
  return z
    .array(z.number({ error }), { error })
    .refine((list) => list.length === 2 && list.every(inside) && list[0]! <= list[1]!, { error })
    .transform((list): readonly [number, number] => [list[0]!, list[1]!]) as z.ZodType<readonly [number, number]>;
}

const interpolations = (): z.ZodType<readonly (typeof INTERPOLATIONS)[number][]> => {
  const error = `expected a list of ${INTERPOLATIONS.join(', ')}`;
  return z.array(z.enum(INTERPOLATIONS, { error }), { error }).min(1, { error });
};

const probability = (name: keyof typeof DEFAULTS) => real({ min: 0, max: 1 }).default(DEFAULTS[name].probability);
const { mask, crop, trim, rotate, lowResolution, photometric, blur, jpeg, erase } = DEFAULTS;

const sections = z.strictObject({
  mask: z.strictObject({ probability: probability('mask'), top: range(-1, 1).default(mask.top) }).optional(),
  crop: z
    .strictObject({
      probability: probability('crop'),
      mode: oneOf(['resize', 'pad']).default(crop.mode),
      area: range(0, 1, true).default(crop.area),
      aspect: range(0, 20, true).default(crop.aspect),
    })
    .optional(),
  trim: z.strictObject({ probability: probability('trim'), share: range(0, 0.45).default(trim.share) }).optional(),
  rotate: z
    .strictObject({
      probability: probability('rotate'),
      degrees: range(-180, 180).default(rotate.degrees),
      about: oneOf(['centre', 'corner']).default(rotate.about),
    })
    .optional(),
  lowResolution: z
    .strictObject({
      probability: probability('lowResolution'),
      scale: range(0, 1, true).default(lowResolution.scale),
      interpolations: interpolations().default(lowResolution.interpolations),
    })
    .optional(),
  photometric: z
    .strictObject({
      probability: probability('photometric'),
      brightness: range(0, 10).default(photometric.brightness),
      contrast: range(0, 10).default(photometric.contrast),
      saturation: range(0, 10).default(photometric.saturation),
      hue: range(-0.5, 0.5).default(photometric.hue),
    })
    .optional(),
  grey: z.strictObject({ probability: probability('grey') }).optional(),
  blur: z.strictObject({ probability: probability('blur'), sigma: range(0, 30).default(blur.sigma) }).optional(),
  jpeg: z.strictObject({ probability: probability('jpeg'), quality: range(1, 100).default(jpeg.quality) }).optional(),
  erase: z
    .strictObject({
      probability: probability('erase'),
      area: range(0, 1, true).default(erase.area),
      aspect: range(0, 20, true).default(erase.aspect),
      fill: oneOf(FILLS).default(erase.fill),
    })
    .optional(),
});

const isPreset = (name: unknown): name is AugmentPreset => (AUGMENT_PRESET_NAMES as readonly unknown[]).includes(name);
const isSection = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Lays what is given on the preset it names. What is malformed passes through, to be named by the schema. */
function withPreset(raw: unknown, context: z.core.$RefinementCtx): unknown {
  const given = typeof raw === 'string' ? { preset: raw } : raw;
  if (!isSection(given) || given['preset'] === undefined) return given;
  const { preset, ...own } = given;
  if (!isPreset(preset)) {
    const path = typeof raw === 'string' ? [] : ['preset'];
    const message = `expected one of ${AUGMENT_PRESET_NAMES.join(', ')}`;
    context.issues.push({ code: 'custom', input: raw, path, message });
    return {};
  }
  const base: Record<string, object> = AUGMENT_PRESETS[preset];
  const merged = { ...base, ...own };
  for (const name of OPERATIONS) {
    if (isSection(own[name])) merged[name] = { ...base[name], ...own[name] };
  }
  return merged;
}

/**
 * `data.augment`: resolved to the whole plan, so that the configuration saved with a run says what was done whatever presets
 * become later.
 */
export const augmentSchema = z.preprocess(withPreset, sections);
