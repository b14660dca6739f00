import { describe, expect, it } from 'vitest';
import { roundBf16, sgdUpdate } from '../../dist/reference/index.js';
import { expectRows } from './compare.js';
import type { ContractAdamW, ContractUpdate, Implementation, Subject } from './implementation.js';
import { toleranceOf } from './precision.js';
import { isCaughtBy, mutant, withRule } from './mutants.js';
import { referenceImplementation } from './reference-implementation.js';
import { describeContract } from './register.js';

const fp32 = referenceImplementation('fp32') as Implementation;
const master = referenceImplementation('bf16-master') as Implementation;
describeContract(fp32);
for (const precision of ['bf16', 'bf16-master'] as const) {
  // Larger problems say nothing more of the reference itself.
  describeContract({ ...referenceImplementation(precision), maxProducts: 100_000 } as Implementation);
}

/** An update of a bf16 master without random bits. */
function roundedToNearest(subject: Subject, steps: readonly unknown[], options: ContractUpdate): void {
  if ('betas' in options) return subject.update!(steps, options);
  const [weights, momentum] = [subject.weights() as Float64Array, subject.momentum!() as Float64Array];
  const after = sgdUpdate(weights, momentum, subject.gradients(steps), 1, () => true, options);
  weights.set(after.weights.map(roundBf16));
  momentum.set(after.momentum.map(roundBf16));
}

/** Before each update the count of AdamW is what `miscount` makes of it. */
const miscounting = (miscount: (updates: number) => number): Implementation => ({
  ...fp32,
  hasShards: false,
  create: (centers) => fp32.create({ ...centers, updates: miscount(centers.updates ?? 0) }),
});

const adamwWith = (change: Partial<ContractAdamW>): Implementation =>
  mutant((subject) => ({
    update: (steps, options) => subject.update!(steps, 'betas' in options ? { ...options, ...change } : options),
  }));

/** Weight decay in the gradient, as Adam has it. */
function coupledDecay(subject: Subject, steps: readonly unknown[], options: ContractUpdate): void {
  if (!('betas' in options)) return subject.update!(steps, options);
  const weights = subject.weights() as Float64Array;
  const before = weights.slice();
  subject.update!(steps, { ...options, weightDecay: 0 });
  const after = subject.weights() as Float64Array;
  for (let e = 0; e < after.length; e++) after[e] -= options.learningRate ** 2 * options.weightDecay * before[e];
}

const MUTANTS: [string, Implementation][] = [
  [
    'margin off by 1e-5 radians',
    mutant((subject) => ({
      forward: (batch) => subject.forward({ ...batch, rule: { ...batch.rule, m2: batch.rule.m2 + 1e-5 } }),
    })),
  ],
  ['only the hard fallback', withRule({ fallback: 'hard' })],
  ['only the straight-through gradient', withRule({ gradient: 'straight-through' })],
  [
    'per-sample parameters ignored',
    mutant((subject) => ({
      forward: (batch) => subject.forward({ ...batch, rowParameters: undefined }),
    })),
  ],
  [
    'sampled classes ignored',
    mutant((subject) => ({
      forward: (batch) => subject.forward({ ...batch, sampled: undefined }),
    })),
  ],
  [
    'last element of dX lost',
    mutant((subject) => ({
      forward: (batch) => {
        const result = subject.forward(batch);
        const embeddingGradient = Array.from(result.embeddingGradient).fill(0, -1);
        return { ...result, embeddingGradient };
      },
    })),
  ],
  [
    'last row of dW lost',
    mutant((subject) => ({
      gradients: (steps) => {
        const gradient = Array.from(subject.gradients(steps));
        return gradient.fill(0, -Math.min(gradient.length, 3));
      },
    })),
  ],
  [
    'only the first step counted',
    mutant((subject) => ({ gradients: (steps) => subject.gradients(steps.slice(0, 1)) })),
  ],
  [
    'frozen taken for decayed',
    mutant((subject) => ({
      update: (steps, options) => subject.update!(steps, { ...options, unsampled: 'decayed' }),
    })),
  ],
  [
    'weight decay forgotten',
    mutant((subject) => ({
      update: (steps, options) => subject.update!(steps, { ...options, weightDecay: 0 }),
    })),
  ],
  [
    'forward moves weights',
    mutant((subject) => ({
      forward: (batch) => {
        const result = subject.forward(batch);
        const options = {
          learningRate: 1e-6,
          momentum: 0,
          weightDecay: 0,
          unsampled: 'frozen',
          roundingStep: 0n,
        } as const;
        subject.update!([result.step], options);
        return result;
      },
    })),
  ],
  [
    'step number of the sampler ignored',
    mutant((subject) => ({
      sample: (request) => subject.sample!({ ...request, step: 0n }),
    })),
  ],
  [
    'operands left exact though bf16 is asked for',
    {
      ...fp32,
      hasShards: false,
      precision: 'bf16',
      create: (centers) => fp32.create({ ...centers, operands: undefined }),
    },
  ],
  [
    'bf16 master rounded to the nearest',
    mutant((subject) => ({ update: (steps, options) => roundedToNearest(subject, steps, options) }), master),
  ],
  [
    'bf16 master rounded with the bits of another step',
    mutant(
      (subject) => ({
        update: (steps, options) => subject.update!(steps, { ...options, roundingStep: options.roundingStep + 1n }),
      }),
      master,
    ),
  ],
  [
    'high half of the rounding step ignored',
    mutant(
      (subject) => ({
        update: (steps, options) => {
          subject.update!(steps, { ...options, roundingStep: BigInt.asUintN(32, options.roundingStep) });
        },
      }),
      master,
    ),
  ],
  ['AdamW without the correction of a first update', miscounting((updates) => (updates === 0 ? 1e6 : updates))],
  ['AdamW whose corrections are one update behind', miscounting((updates) => Math.max(0, updates - 1))],
  ['AdamW with its usual betas, whatever they are', adamwWith({ betas: [0.9, 0.999] })],
  ['AdamW with its usual epsilon, whatever it is', adamwWith({ epsilon: 1e-8 })],
  [
    'AdamW that decays next to nothing',
    mutant((subject) => ({ update: (steps, options) => coupledDecay(subject, steps, options) })),
  ],
  [
    'AdamW that goes on counting after seeding',
    mutant((subject) => {
      let forgotten = 0;
      return {
        updates: () => subject.updates!() + forgotten,
        seed: (seed, stddev) => {
          forgotten = subject.updates!();
          subject.seed!(seed, stddev);
        },
      };
    }),
  ],
  [
    'second moment of AdamW lost from one update to the next',
    mutant((subject) => ({
      update: (steps, options) => {
        subject.update!(steps, options);
        if ('betas' in options) (subject.secondMoment!() as Float64Array).fill(0);
      },
    })),
  ],
  [
    'high half of the seed ignored',
    mutant((subject) => ({
      seed: (seed, stddev) => subject.seed!(BigInt.asUintN(32, seed), stddev),
    })),
  ],
];

describe('the contract suite catches', () => {
  it.each(MUTANTS)('%s', (_, broken) => {
    const isCaught = isCaughtBy(broken, (group) => !/sizes|random/.test(group));
    expect(isCaught).toBe(true);
  });

  it('and names the worst row', () => {
    const expected = [1, 2, 3, 4, 5, 6];
    const bounds = toleranceOf({});
    expect(() => expectRows('dW', [1, 2, 3, 4.1, 5, 6], expected, 2, bounds)).toThrow(/dW: .*worst row 1 of 3/);
    expect(() => expectRows('dW', [1, 2, NaN, 4, 5, 6], expected, 2, bounds)).toThrow(/worst row 1 of 3 NaN/);
    expect(() => expectRows('dW', [1, 2, 3], expected, 2, bounds)).toThrow(/expected 6 numbers, received 3/);
    expect(() => expectRows('dW', [1, 2, 3, 4, 5, 6 + 1e-6], expected, 2, bounds)).not.toThrow();
  });
});
