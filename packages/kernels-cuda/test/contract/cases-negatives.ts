import { sampleClasses } from '../../dist/reference/index.js';
import type { ReferenceRule } from '../../dist/reference/index.js';
import { aroundThresholds, hardProblem, requireBothBranches, separated } from './data-heads.js';
import type { Problem, Size } from './data.js';
import { ARCFACE, fp32Rule, normals } from './data.js';
import { expectProblem } from './expectations.js';
import type { Implementation } from './implementation.js';
import { storedCenters } from './precision.js';
import { FAMILIES, NEGATIVES } from './rules.js';
import type { ContractCase } from './suite.js';

/** In few dimensions cosines spread widely. */
const SIZE: Size = { batch: 13, classes: 19, dim: 12 };

/** The hard problem of `rule`, changed by `change`, on data whose negatives take both branches and stand near no threshold. */
function caseOf(
  name: string,
  rule: ReferenceRule,
  size: Size = SIZE,
  change: (made: Problem) => Problem = (made) => made,
): ContractCase {
  return {
    group: 'negatives',
    name,
    run: (implementation) => {
      const made = separated(implementation, 61, (seed) => change(hardProblem(seed, size, rule)));
      requireBothBranches(implementation, made);
      expectProblem(implementation, made);
    },
  };
}

const withRows = ({ centers, batch }: Problem): Problem => {
  const base = [batch.rule.scale / 2, 1, 0.4, 0.1];
  const width = [batch.rule.scale / 8, 0.05, 0.1, 0.05];
  const spread = normals(62, 4 * batch.labels.length);
  return {
    centers,
    batch: { ...batch, rowParameters: spread.map((v, e) => base[e % 4] + width[e % 4] * Math.tanh(v)) },
  };
};

const withSample = ({ centers, batch }: Problem): Problem => {
  const draw = {
    classes: centers.classes,
    firstClass: 0,
    labels: batch.labels,
    rate: 0.7,
    seed: 3n,
    step: 4n,
    shard: 0,
  };
  return { centers, batch: { ...batch, sampled: sampleClasses(draw) } };
};

/**
 * Samples' own thresholds, which know neither fallback nor blend, with negatives on both sides close by. A small scale lets every negative
 * count.
 */
function thresholdCases({ hasRowParameters }: Implementation): ContractCase[] {
  const size = { ...SIZE, classes: 2 * SIZE.batch + 1 };
  const plain = { ...ARCFACE, scale: 4, m1: 1.2, m2: 0.4, m3: 0.15, negatives: NEGATIVES['MV fixed, t 1.12'] };
  const rules = (['hard', 'easy', 'none', 'clip'] as const).flatMap((fallback) =>
    [1, 0.35].map((blend) => fp32Rule({ ...plain, fallback, blend })),
  );
  const families = Object.entries(FAMILIES).map(
    ([name, rule]) => [name, { ...rule, scale: 4, negatives: plain.negatives }] as const,
  );
  const around = (name: string, rule: ReferenceRule, change = (made: Problem) => made) =>
    caseOf(`around thresholds, ${name}`, rule, size, (made) => aroundThresholds(change(made), 67));
  return [
    ...rules.map((rule) => around(`${rule.fallback}, blend ${rule.blend!.toPrecision(2)}`, rule)),
    ...families.map(([name, rule]) => around(name, rule)),
    ...(hasRowParameters ? [around('per-sample scale and margins', fp32Rule(plain), withRows)] : []),
  ];
}

/** A zero vector's cosines are exactly 0: with the threshold 0 they are at it, and take the lower branch. */
const atThreshold: ContractCase = {
  group: 'negatives',
  name: 'cosines exactly at the threshold take the branch below',
  run: (implementation) => {
    const negatives = {
      threshold: 0,
      above: { value: [0.5, 1, 0], slope: [1, 0] },
      below: { value: [0.25, 0.5, 0], slope: [0.5, 0] },
    } as const;
    const made = separated(implementation, 63, (seed) => {
      const { centers, batch } = hardProblem(seed, SIZE, { ...ARCFACE, negatives });
      centers.weights.fill(0, 5 * SIZE.dim, 7 * SIZE.dim);
      batch.embeddings.fill(0, 4 * SIZE.dim, 5 * SIZE.dim);
      return { centers, batch };
    });
    requireBothBranches(implementation, made);
    expectProblem(implementation, made);
  },
};

/** Embeddings on and opposite to their centres: thresholds of 1 and below, targets without a gradient. */
const onCenters = (factor: number, name: string, rule: ReferenceRule): ContractCase => ({
  group: 'negatives',
  name: `${name}, c = ${Math.sign(factor)} exactly`,
  run: (implementation) => {
    const made = separated(implementation, 64, (seed) => {
      const { centers: given, batch } = hardProblem(seed, SIZE, rule);
      const centers = storedCenters(implementation, given);
      const embeddings = batch.embeddings.map(
        (_, e) => factor * centers.weights[batch.labels[Math.floor(e / SIZE.dim)] * SIZE.dim + (e % SIZE.dim)],
      );
      return { centers, batch: { ...batch, embeddings } };
    });
    expectProblem(implementation, made);
  },
});

/** Every tail of C and B (what pads a register is no negative, whatever N(0) is), and both sides of GPU tiles. */
function sizeCases({ maxSubCenters, maxProducts = Infinity }: Implementation): ContractCase[] {
  const upTo17 = Array.from({ length: 17 }, (_, n) => n + 1);
  const sizes: Size[] = [
    ...upTo17.map((classes) => ({ batch: 4, classes, dim: 8 })),
    ...upTo17.map((batch) => ({ batch, classes: 7, dim: 8 })),
    ...[1, 3, 5, 9, 15, 31, 33].map((dim) => ({ batch: 4, classes: 6, dim })),
    { batch: 63, classes: 65, dim: 24 },
    { batch: 129, classes: 127, dim: 16 },
    { batch: 3, classes: 300, dim: 128 },
    { batch: 17, classes: 70, dim: 136 },
    { batch: 4, classes: 33, dim: 257 },
    { batch: 9, classes: 67, dim: 512 },
    { batch: 5, classes: 19, dim: 513 },
    { batch: 5, classes: 131, dim: 8, subCenters: 3 },
    { batch: 4, classes: 3, dim: 8, subCenters: 16 },
  ];
  const fits = ({ batch, classes, dim, subCenters = 1 }: Size) =>
    subCenters <= maxSubCenters && batch * classes * dim * subCenters <= maxProducts;
  const rules = ['MV adaptive, t 1.12', 'two parabolas'].map((name) => [name, NEGATIVES[name]] as const);
  return sizes.filter(fits).map((size, n) => {
    const { batch, classes, dim, subCenters = 1 } = size;
    const [name, negatives] = rules[n % rules.length];
    return {
      group: 'negatives: sizes',
      name: `B ${batch}, C ${classes}, K ${subCenters}, D ${dim}, ${name}`,
      run: (implementation) => {
        const make = (seed: number) => hardProblem(seed, size, { ...ARCFACE, negatives });
        expectProblem(implementation, separated(implementation, 200 + n, make));
      },
    };
  });
}

/** What the cosines of negatives become before the softmax, with every kind of margin and batch. */
export function negativeCases(implementation: Implementation): ContractCase[] {
  const { hasNegativeRules, hasRowParameters, hasSampling, maxSubCenters } = implementation;
  if (!hasNegativeRules) return [];
  const rules = Object.entries(NEGATIVES);
  const everyRule = rules.flatMap(([name, negatives]) => [
    caseOf(name, { ...ARCFACE, negatives }),
    caseOf(
      `${name}, CosFace, straight-through`,
      fp32Rule({ ...ARCFACE, m2: 0, m3: 0.35, gradient: 'straight-through', negatives }),
    ),
    caseOf(`${name}, scale 8`, { ...ARCFACE, scale: 8, negatives }),
    ...(hasRowParameters
      ? [caseOf(`${name}, per-sample scale and margins`, { ...ARCFACE, negatives }, SIZE, withRows)]
      : []),
    ...(hasSampling ? [caseOf(`${name}, partial FC`, { ...ARCFACE, negatives }, SIZE, withSample)] : []),
    ...(maxSubCenters > 1
      ? [caseOf(`${name}, K 3`, { ...ARCFACE, negatives }, { ...SIZE, dim: 5, subCenters: 3 })]
      : []),
    ...[3, -4].map((factor) => onCenters(factor, name, { ...ARCFACE, negatives })),
  ]);
  const circle = FAMILIES['circle, m 0.25'];
  const published = caseOf('circle loss whole', {
    ...circle,
    gradient: 'straight-through',
    negatives: NEGATIVES['circle, m 0.25'],
  });
  const families = Object.entries(FAMILIES).map(([name, rule]) =>
    caseOf(`curricular, t 0.3, with ${name}`, { ...rule, negatives: NEGATIVES['curricular, t 0.3'] }),
  );
  // s·N(c) reaches s·1.3, and far more than fp32's exponentials hold.
  const scales = [128, 200].map((scale) =>
    caseOf(`curricular, t 0.3, scale ${scale}`, { ...ARCFACE, scale, negatives: NEGATIVES['curricular, t 0.3'] }),
  );
  return [
    ...everyRule,
    published,
    ...families,
    ...thresholdCases(implementation),
    ...scales,
    atThreshold,
    ...sizeCases(implementation),
  ];
}
