import type { NegativeBranch, NegativeRule } from '../../dist/margin.js';
import type { ReferenceRule } from '../../dist/reference/index.js';
import { sampleClasses } from '../../dist/reference/index.js';
import type { Draws } from './cases-random.js';
import { drawsOf } from './cases-random.js';
import { hardProblem, separated } from './data-heads.js';
import { fp32Rule } from './data.js';
import { expectProblem } from './expectations.js';
import type { Implementation } from './implementation.js';
import { fp32Negatives, NEGATIVES } from './rules.js';
import type { ContractCase } from './suite.js';

const PROBLEMS = 40;
const STREAM = 1;

/** A margin of any family, anywhere in its range. */
export function drawRule({ below, among }: Draws): ReferenceRule {
  const upTo = (largest: number) => (largest * below(1001)) / 1000;
  const family = among(['cosine', 'cosine', 'sphere', 'quadratic', 'circle'] as const);
  const numbers = {
    cosine: { m1: among([1, 1, 0.5 + upTo(3.5)]), m2: among([0, 0.5, upTo(3) - 1.5]), m3: among([0, upTo(2) - 1]) },
    sphere: { m1: among([4, 1 + upTo(3)]), m2: 0, m3: among([0, upTo(0.5)]) },
    quadratic: { m1: 0.01 + upTo(2), m2: upTo(1) - 0.5, m3: upTo(2) - 1 },
    circle: { m1: 1, m2: upTo(1.5), m3: among([0, upTo(0.5)]) },
  }[family];
  return fp32Rule({
    ...numbers,
    family,
    scale: among([8, 32, 64]),
    fallback: family === 'cosine' ? among(['hard', 'easy', 'none', 'clip'] as const) : 'none',
    gradient: among(['exact', 'straight-through'] as const),
    blend: among([1, 1, upTo(1)]),
    clipRadians: among([1e-4, 1e-3, 0.001 + upTo(0.09)]),
  });
}

/** A published rule, or one whose numbers are drawn too; undefined for none. */
export function drawNegatives({ below, among }: Draws): NegativeRule | undefined {
  const around = (center: number) => center + (below(1001) - 500) / 1000;
  const branch = (): NegativeBranch => ({
    value: [around(0), around(1), around(0)],
    slope: [around(1), around(0)],
  });
  const threshold = among(['target', 0, 0.2, -0.3] as const);
  const drawn = fp32Negatives({ threshold, above: branch(), below: branch() });
  return among([undefined, drawn, drawn, ...Object.values(NEGATIVES)]);
}

/** Shape, family, margins, negative rule and sample all drawn at once. */
export function randomHeadCases(implementation: Implementation): ContractCase[] {
  if (!implementation.hasFamilies || !implementation.hasNegativeRules) return [];
  return Array.from({ length: PROBLEMS }, (_, index) => randomHeadCase(implementation, index)).filter(
    (one) => one !== null,
  );
}

function randomHeadCase(
  { maxSubCenters, hasSampling, maxProducts = Infinity }: Implementation,
  index: number,
): ContractCase | null {
  const draws = drawsOf(index, STREAM);
  const { below, among } = draws;
  const size = {
    batch: 1 + below(40),
    classes: 1 + below(120),
    dim: 2 + below(40),
    subCenters: Math.min(among([1, 1, 1, 2, 3]), maxSubCenters),
  };
  const negatives = drawNegatives(draws);
  const rule = { ...drawRule(draws), ...(negatives && { negatives }) };
  const rate = hasSampling ? among([1, 1, 0.1, 0.5]) : 1;
  const { batch, classes, dim, subCenters } = size;
  if (batch * classes * dim * subCenters > maxProducts) return null;
  const [name] = Object.entries(NEGATIVES).find(([, known]) => known === negatives) ?? ['a drawn rule'];
  return {
    group: 'random heads',
    name: `${index}: B ${batch}, C ${classes}, K ${subCenters}, D ${dim}, rate ${rate}, ${rule.family}, ${negatives ? name : 'no rule'}`,
    run: (implementation) => {
      const make = (seed: number) => {
        const whole = hardProblem(seed, size, rule);
        const draw = { classes, firstClass: 0, labels: whole.batch.labels, rate, seed: 1n, step: 2n, shard: 0 };
        const sampled = rate < 1 ? sampleClasses(draw) : undefined;
        return { ...whole, batch: { ...whole.batch, sampled } };
      };
      expectProblem(implementation, separated(implementation, 2000 + index, make));
    },
  };
}
