import type { ReferenceRule } from '../../dist/reference/index.js';
import { expectUpdate, SGD } from './cases-update.js';
import { hardProblem, requireBothBranches, separated } from './data-heads.js';
import type { Problem } from './data.js';
import { ARCFACE, fp32Rule, partOf } from './data.js';
import { expectCenterGradient, expectShards, referenceForward, withCenters } from './expectations.js';
import type { ContractBatch, Implementation } from './implementation.js';
import { storedCenters } from './precision.js';
import { FAMILIES, NEGATIVES } from './rules.js';
import type { ContractCase } from './suite.js';

const SIZE = { batch: 19, classes: 23, dim: 12 };
/** Four micro-batches of unequal sizes, each with a head of its own. */
const CUTS = [0, 1, 8, 14, 19];
const HEADS: readonly ReferenceRule[] = [
  { ...ARCFACE, negatives: NEGATIVES['curricular, t 0.3'] },
  ARCFACE,
  { ...FAMILIES['SphereFace, m 4'], scale: 32 },
  fp32Rule({
    ...ARCFACE,
    m2: 0,
    m3: 0.4,
    scale: 16,
    gradient: 'straight-through',
    negatives: NEGATIVES['filter at 0.4'],
  }),
];

/** The parts of a batch, each with its head. */
const partsOf = ({ batch }: Problem): ContractBatch[] =>
  HEADS.map((rule, n) => ({ ...partOf(batch, SIZE.dim, CUTS[n], CUTS[n + 1]), rule }));

const wholeOf = (implementation: Implementation, subCenters: number): Problem =>
  separated(implementation, 65, (seed) => hardProblem(seed, { ...SIZE, subCenters }, ARCFACE), partsOf);

/** Heads side by side: micro-batches of different ones in one gradient or update, and shards that share a threshold. */
export function togetherCases({
  hasFamilies,
  hasNegativeRules,
  hasUpdate,
  hasShards,
  maxSubCenters,
  mixesSamples = true,
}: Implementation): ContractCase[] {
  if (!hasNegativeRules || !hasFamilies) return [];
  const subCenterCounts = maxSubCenters > 1 ? [1, 3] : [1];
  // With sub-centres the engine chooses the kernels, and finds some that take steps of different rules.
  const mixedCounts = subCenterCounts.filter((subCenters) => mixesSamples || subCenters > 1);
  const gradients = mixedCounts.map((subCenters): ContractCase => ({
    group: 'heads together',
    name: `micro-batches of different heads in one gradient, K ${subCenters}`,
    run: (implementation) => {
      const whole = wholeOf(implementation, subCenters);
      const centers = storedCenters(implementation, whole.centers);
      withCenters(implementation, centers, (subject) => {
        const steps = partsOf(whole).map((part) => subject.forward(part).step);
        const expected = partsOf(whole).map((part) => referenceForward(centers, part));
        expectCenterGradient(implementation, subject.gradients(steps), centers, expected);
      });
    },
  }));
  const updates = mixedCounts.map((subCenters): ContractCase => ({
    group: 'heads together',
    name: `micro-batches of different heads in one update, K ${subCenters}`,
    run: (implementation) => {
      const whole = wholeOf(implementation, subCenters);
      expectUpdate(implementation, whole.centers, partsOf(whole), SGD);
    },
  }));
  const shards = Object.entries(NEGATIVES).flatMap(([name, negatives]) =>
    subCenterCounts.map((subCenters): ContractCase => ({
      group: 'heads together',
      name: `shards cut at 1, 9, K ${subCenters}, ${name}`,
      run: (implementation) => {
        const rule = { ...ARCFACE, scale: 32, negatives };
        const made = separated(implementation, 66, (seed) => hardProblem(seed, { ...SIZE, subCenters }, rule));
        requireBothBranches(implementation, made);
        expectShards(implementation, made, [1, 9]);
      },
    })),
  );
  return [...gradients, ...(hasUpdate ? updates : []), ...(hasShards ? shards : [])];
}
