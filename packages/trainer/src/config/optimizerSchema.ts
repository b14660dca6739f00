import * as z from 'zod';

import { flag, oneOf, real } from './fields.js';
import { groupsSchema } from './groupsSchema.js';

const rate = { min: 0, openMin: true } as const;
const momentum = (): z.ZodType<number> => real({ min: 0, max: 0.9999 });
const weightDecay = (): z.ZodType<number> => real({ min: 0, max: 1 });

const BETAS = 'expected a list of two numbers in [0, 1)';

/** What moves the weights. Numbers that are absent are filled in by {@link withOptimizerDefaults}: they depend on the kind. */
export const optimizerSchema = z.strictObject({
  /**
   * sgd: v ← μ·v + (g + λ·w); w ← w − η·v, PyTorch's form. adamw: torch.optim.AdamW. Of the backbone; the class centres have SGD.
   */
  kind: oneOf(['sgd', 'adamw']).default('sgd'),
  learningRate: real(rate).optional(),
  /** sgd only: μ. */
  momentum: momentum().optional(),
  /** adamw only: β₁ and β₂. */
  betas: z
    .array(z.number({ error: BETAS }), { error: BETAS })
    .refine((list) => list.length === 2 && list.every((beta) => beta >= 0 && beta < 1), { error: BETAS })
    .optional(),
  /** adamw only: ε. */
  epsilon: real({ min: 0, max: 1, openMin: true }).optional(),
  weightDecay: weightDecay().optional(),
  /** False: no weight decay on normalisation parameters, PReLU slopes and biases. */
  decayNormAndBias: flag().default(true),
  /** Parts of the backbone whose learning rate or weight decay is a multiple of these. */
  groups: groupsSchema.optional(),
  /** Global L2 norm the backbone's gradient is clipped to; null: not clipped. */
  clipNorm: real(rate).nullable().default(5),
  /** The class centres' own numbers; what is absent is as for a backbone with sgd. */
  head: z
    .strictObject({
      kind: oneOf(['sgd', 'adamw']).optional(),
      learningRate: real(rate).optional(),
      momentum: momentum().optional(),
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

const ONLY: readonly { key: 'momentum' | 'betas' | 'epsilon'; kind: OptimizerSection['kind'] }[] = [
  { key: 'momentum', kind: 'sgd' },
  { key: 'betas', kind: 'adamw' },
  { key: 'epsilon', kind: 'adamw' },
];

/** What is wrong with a section whose fields are right one by one. */
export function optimizerProblems(optimizer: OptimizerSection): string[] {
  const { kind, head } = optimizer;
  const found = ONLY.filter((only) => only.kind !== kind && optimizer[only.key] !== undefined).map(
    (only) =>
      `optimizer.${only.key}: expected only with optimizer.kind ${only.kind}, received optimizer.kind ${kind}; remove it or set it to null`,
  );
  if (head.kind === 'adamw') {
    found.push(
      'optimizer.head.kind: expected sgd, received adamw; the engine that holds the class centres moves them by SGD with momentum only, remove the key (optimizer.kind adamw is for the backbone)',
    );
  }
  return found;
}

/** The section with the numbers of its kind where they were left open. The class centres of an adamw run have SGD's own. */
export function withOptimizerDefaults(optimizer: OptimizerSection): OptimizerConfig {
  const given = <T extends object>(section: T): T =>
    Object.fromEntries(Object.entries(section).filter(([, value]) => value !== undefined)) as T;
  const head = { ...(optimizer.kind === 'adamw' ? SGD : {}), ...given(optimizer.head) };
  const defaults: Partial<OptimizerSection> & { learningRate: number; weightDecay: number } =
    optimizer.kind === 'adamw' ? ADAMW : SGD;
  return { ...defaults, ...given(optimizer), head } as OptimizerConfig;
}

/** The numbers of the class centres' SGD. */
export function headOptimizer({ learningRate, momentum: μ, weightDecay: λ, head }: OptimizerConfig): typeof SGD {
  return {
    learningRate: head.learningRate ?? learningRate,
    momentum: head.momentum ?? μ ?? SGD.momentum,
    weightDecay: head.weightDecay ?? λ,
  };
}
