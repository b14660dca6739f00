import { marginFamilyNames } from '@hyperarc/heads';
import * as z from 'zod';

import { flag, integer, oneOf, real, text } from './fields.js';

const anyNumber = (): z.ZodType<number> => real({ min: -1e9, max: 1e9 });

/** What single families of margins take (`hyperarc heads list`); ranges are the family's own to check. */
const parameters = z.strictObject({
  /** magface: range of ‖x‖ and margins at its ends, radians; λ_g. */
  lowerNorm: anyNumber().optional(),
  upperNorm: anyNumber().optional(),
  lowerMargin: anyNumber().optional(),
  upperMargin: anyNumber().optional(),
  regularizer: anyNumber().optional(),
  /** adaface: h. */
  concentration: anyNumber().optional(),
  /** adaface, curricularface: weight of a batch in what runs along. */
  momentum: anyNumber().optional(),
  /** mv-softmax: am or arc; elasticface, group-margin: arc or cos. */
  base: oneOf(['arc', 'cos', 'am']).optional(),
  /** mv-softmax. */
  mode: oneOf(['fixed', 'adaptive']).optional(),
  t: anyNumber().optional(),
  /** elasticface. Its seed is the run's. */
  stddev: anyNumber().optional(),
  plus: flag().optional(),
  /** adacos: whether the scale follows training. */
  dynamic: flag().optional(),
  /** x2-softmax. */
  a: anyNumber().optional(),
  h: anyNumber().optional(),
  k: anyNumber().optional(),
  /** class-variant: m_f. Samples of each class are those of the data. */
  falseMargin: anyNumber().optional(),
  /** sphereface: none, or parts of the schedule of λ. */
  annealing: z
    .union(
      [
        z.literal(false),
        z.strictObject({
          base: anyNumber().optional(),
          gamma: anyNumber().optional(),
          power: anyNumber().optional(),
          minimum: anyNumber().optional(),
        }),
      ],
      { error: 'expected false, or a section of base, gamma, power and minimum' },
    )
    .optional(),
  /** group-margin: a YAML or JSON file of `identity: group`, and the margin of each group. */
  groups: text(/./, 'the path of a file').optional(),
  margins: z.record(z.string(), anyNumber(), { error: 'expected a section of group: margin' }).optional(),
});

type Parameter = keyof z.infer<typeof parameters>;
type MarginKey = 'scale' | 'margin' | 'm1' | 'm2' | 'm3' | 'fallback' | 'gradient';

export const headSchema = z.strictObject({
  /** Family of the margin. */
  loss: oneOf(marginFamilyNames as unknown as readonly ['arcface', ...typeof marginFamilyNames]).default('arcface'),
  /** Absent, as the rest of the margin: the family's own. sphereface: a number, or norm (‖x‖ of each sample). */
  scale: z
    .union([z.literal('norm'), real({ min: 0, max: 1024, openMin: true })], {
      error: 'expected a number in (0, 1024]',
    })
    .optional(),
  /** Radians, or a cosine: as the family has it. */
  margin: real({ min: 0, max: 4 }).optional(),
  /** combined only: cos(m1·θ + m2) − m3. */
  m1: real({ min: 0.5, max: 4 }).optional(),
  m2: real({ min: 0, max: 1.57 }).optional(),
  m3: real({ min: 0, max: 1 }).optional(),
  fallback: oneOf(['hard', 'easy', 'none', 'clip']).optional(),
  gradient: oneOf(['exact', 'straight-through']).optional(),
  parameters: parameters.optional(),
  /** Negatives of a higher cosine are left out: inter-class filtering. */
  interClassFilter: real({ min: 0, max: 1 }).optional(),
  /** Partial FC: share of the classes used in a step. */
  rate: real({ min: 0, max: 1, openMin: true }).default(1),
  unsampled: oneOf(['frozen', 'decayed']).default('frozen'),
  subCenters: integer({ min: 1, max: 16 }).default(1),
  precision: oneOf(['fp32', 'bf16', 'bf16-master']).default('fp32'),
  /** Kernel family of the CUDA engine; auto takes its table's choice. */
  kernels: oneOf(['auto', 'plain', 'mma', 'wgmma']).default('auto'),
  device: text(/^(auto|cpu|cuda:\d+)$/, 'auto, cpu or cuda:N').default('auto'),
  /** Start from the class centres of a run or a checkpoint, for the identities that it knows by name. */
  weights: text(/./, 'the path of a run or a checkpoint').optional(),
});

export type HeadConfig = z.infer<typeof headSchema>;

const COMMON: readonly MarginKey[] = ['scale', 'fallback', 'gradient'];

/** Which keys of the section, and which parameters, each family takes. */
export const FAMILY_KEYS: Record<
  HeadConfig['loss'],
  { readonly keys: readonly MarginKey[]; readonly parameters: readonly Parameter[] }
> = {
  normface: { keys: COMMON, parameters: [] },
  sphereface: { keys: ['scale', 'gradient', 'margin'], parameters: ['annealing'] },
  cosface: { keys: [...COMMON, 'margin'], parameters: [] },
  arcface: { keys: [...COMMON, 'margin'], parameters: [] },
  combined: { keys: [...COMMON, 'm1', 'm2', 'm3'], parameters: [] },
  magface: { keys: COMMON, parameters: ['lowerNorm', 'upperNorm', 'lowerMargin', 'upperMargin', 'regularizer'] },
  adaface: { keys: [...COMMON, 'margin'], parameters: ['concentration', 'momentum'] },
  curricularface: { keys: [...COMMON, 'margin'], parameters: ['momentum'] },
  'mv-softmax': { keys: [...COMMON, 'margin'], parameters: ['base', 'mode', 't'] },
  elasticface: { keys: [...COMMON, 'margin'], parameters: ['base', 'stddev', 'plus'] },
  adacos: { keys: [], parameters: ['dynamic'] },
  'x2-softmax': { keys: ['scale', 'gradient'], parameters: ['a', 'h', 'k'] },
  'circle-softmax': { keys: ['scale', 'gradient', 'margin'], parameters: [] },
  'class-variant': { keys: [...COMMON, 'margin'], parameters: ['falseMargin'] },
  'group-margin': { keys: COMMON, parameters: ['base', 'groups', 'margins'] },
};
