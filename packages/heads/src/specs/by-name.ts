import { adaCos } from './adacos.js';
import { adaFace } from './adaface.js';
import { arcFace } from './arcface.js';
import { checkOneOf } from './check-options.js';
import { circleSoftmax } from './circle-softmax.js';
import { classVariant } from './class-variant.js';
import { combinedMargin } from './combined.js';
import { cosFace } from './cosface.js';
import { curricularFace } from './curricularface.js';
import { elasticFace } from './elasticface.js';
import { groupMargin } from './group-margin.js';
import { magFace } from './magface.js';
import { mvSoftmax } from './mv-softmax.js';
import { normFace } from './normface.js';
import type { MarginSpec } from './spec.js';
import { sphereFace } from './sphereface.js';
import { x2Softmax } from './x2-softmax.js';

const FAMILIES = {
  normface: normFace,
  sphereface: sphereFace,
  cosface: cosFace,
  arcface: arcFace,
  combined: combinedMargin,
  magface: magFace,
  adaface: adaFace,
  curricularface: curricularFace,
  'mv-softmax': mvSoftmax,
  elasticface: elasticFace,
  adacos: adaCos,
  'x2-softmax': x2Softmax,
  'circle-softmax': circleSoftmax,
  'class-variant': classVariant,
  'group-margin': groupMargin,
} as const;

/** Name of a family of margins in configurations and on command lines. */
export type MarginFamilyName = keyof typeof FAMILIES;

export const marginFamilyNames = Object.freeze(Object.keys(FAMILIES)) as readonly MarginFamilyName[];

/**
 * The margin that the family's own factory makes of `options`.
 * @throws HyperArcError E_RANGE for a name that is none of {@link marginFamilyNames}, or naming the option.
 */
export function marginByName(name: string, options: object = {}): MarginSpec {
  checkOneOf('name', name, marginFamilyNames);
  // The factories check their options themselves.
  const factory = FAMILIES[name as MarginFamilyName] as (options: object) => MarginSpec;
  return factory(options);
}
