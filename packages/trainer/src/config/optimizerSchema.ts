import * as z from 'zod';

import { flag, oneOf, real } from './fields.js';
import { groupsSchema } from './groupsSchema.js';

const rate = { min: 0, openMin: true } as const;
const momentum = (): z.ZodType<number> => real({ min: 0, max: 0.9999 });
const weightDecay = (): z.ZodType<number> => real({ min: 0, max: 1 });

const BETAS = 'expected a list of two numbers in [0, 1)';
/** β₁ and β₂. */
const betas = (): z.ZodType<number[]> =>
  z
    .array(z.number({ error: BETAS }), { error: BETAS })
    .refine((list) => list.length === 2 && list.every((beta) => beta >= 0 && beta < 1), { error: BETAS });
/** Smaller ones vanish in fp32. */
const SMALLEST_EPSILON = 1e-30;

/** What moves the weights. Numbers that are absent are filled in by {@link withOptimizerDefaults}: they depend on the kind. */
export const optimizerSchema = z.strictObject({
  /**
   * sgd: v ← μ·v + (g + λ·w); w ← w − η·v, PyTorch's form. adamw: torch.optim.AdamW. Of the backbone; the class centres have their
   * own, `head.kind`.
   */
  kind: oneOf(['sgd', 'adamw']).default('sgd'),
  learningRate: real(rate).optional(),
  /** sgd only: μ. */
  momentum: momentum().optional(),
  /** adamw only: β₁ and β₂. */
  betas: betas().optional(),
  /** adamw only: ε. */
  epsilon: real({ min: 0, max: 1, openMin: true }).optional(),
  weightDecay: weightDecay().optional(),
  /** False: no weight decay on normalisation parameters, PReLU slopes and biases. */
  decayNormAndBias: flag().default(true),
  /** Parts of the backbone whose learning rate or weight decay is a multiple of these. */
  groups: groupsSchema.optional(),
  /** Global L2 norm the backbone's gradient is clipped to; null: not clipped. */
  clipNorm: real(rate).nullable().default(5),
  /**
   * The class centres' own; sgd unless `kind` says adamw. Numbers that are absent are those of the backbone where it has the same kind,
   * else the kind's defaults.
   */
  head: z
    .strictObject({
      kind: oneOf(['sgd', 'adamw']).optional(),
      learningRate: real(rate).optional(),
      /** sgd only. */
      momentum: momentum().optional(),
      /** adamw only. */
      betas: betas().optional(),
      /** adamw only. */
      epsilon: real({ min: SMALLEST_EPSILON, max: 1 }).optional(),
      weightDecay: weightDecay().optional(),
    })
    .prefault({}),
});

type OptimizerSection = z.infer<typeof optimizerSchema>;

/** An optimizer section with the defaults of its kind. */
export type OptimizerConfig = OptimizerSection & { learningRate: number; weightDecay: number };

/** arcface_torch's: its `sgd` and its `adamw` recipes. */
const SGD = { learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4 };
const ADAMW = { learningRate: 1e-3, weightDecay: 0.1, betas: [0.9, 0.999], epsilon: 1e-8 };
const DEFAULTS = { sgd: SGD, adamw: ADAMW };

type Kind = OptimizerSection['kind'];

const ONLY: readonly { key: 'momentum' | 'betas' | 'epsilon'; kind: Kind }[] = [
  { key: 'momentum', kind: 'sgd' },
  { key: 'betas', kind: 'adamw' },
  { key: 'epsilon', kind: 'adamw' },
];

function misplaced(
  section: string,
  kind: Kind,
  numbers: Partial<Record<(typeof ONLY)[number]['key'], unknown>>,
): string[] {
  return ONLY.filter((only) => only.kind !== kind && numbers[only.key] !== undefined).map(
    (only) =>
      `${section}.${only.key}: expected only with ${section}.kind ${only.kind}, received ${section}.kind ${kind}; remove it or set it to null`,
  );
}

/** What is wrong with a section whose fields are right one by one. */
export function optimizerProblems(optimizer: OptimizerSection): string[] {
  const { kind, head } = optimizer;
  return [...misplaced('optimizer', kind, optimizer), ...misplaced('optimizer.head', head.kind ?? 'sgd', head)];
}

/** The section with the numbers of its kind where they were left open, and those of the class centres where their kind is another. */
export function withOptimizerDefaults(optimizer: OptimizerSection): OptimizerConfig {
  const given = <T extends object>(section: T): T =>
    Object.fromEntries(Object.entries(section).filter(([, value]) => value !== undefined)) as T;
  const headKind = optimizer.head.kind ?? 'sgd';
  const head = { ...(headKind === optimizer.kind ? {} : DEFAULTS[headKind]), ...given(optimizer.head) };
  return { ...DEFAULTS[optimizer.kind], ...given(optimizer), head } as OptimizerConfig;
}

/** The numbers that move the class centres. */
export type HeadOptimizer =
  | { kind: 'sgd'; learningRate: number; weightDecay: number; momentum: number }
  | { kind: 'adamw'; learningRate: number; weightDecay: number; betas: readonly number[]; epsilon: number };

/** The class centres' own numbers; what their section leaves open is the backbone's, which then has their kind. */
export function headOptimizer({ head, ...backbone }: OptimizerConfig): HeadOptimizer {
  const learningRate = head.learningRate ?? backbone.learningRate;
  const weightDecay = head.weightDecay ?? backbone.weightDecay;
  if (head.kind === 'adamw') {
    const betas = head.betas ?? backbone.betas ?? ADAMW.betas;
    return {
      kind: 'adamw',
      learningRate,
      weightDecay,
      betas,
      epsilon: head.epsilon ?? backbone.epsilon ?? ADAMW.epsilon,
    };
  }
  return { kind: 'sgd', learningRate, weightDecay, momentum: head.momentum ?? backbone.momentum ?? SGD.momentum };
}
