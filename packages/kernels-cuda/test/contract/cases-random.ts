import { philox4x32, sampleClasses } from '../../dist/reference/index.js';
import { ARCFACE, fp32Rule, problem } from './data.js';
import { expectProblem } from './expectations.js';
import type { Implementation } from './implementation.js';
import type { ContractCase } from './suite.js';

const PROBLEMS = 40;
const SCALES = [8, 32, 64];
const FALLBACKS = ['hard', 'easy', 'none', 'clip'] as const;

export interface Draws {
  /** An integer in [0, n). */
  readonly below: (n: number) => number;
  readonly among: <T>(choices: readonly T[]) => T;
}

/** Draws of problem `index` of a stream, the same in every run. */
export function drawsOf(index: number, stream = 0): Draws {
  let counter = 0;
  const below = (n: number) => philox4x32([counter++, index, stream, 0], [2048, 0])[0] % n;
  return { below, among: (choices) => choices[below(choices.length)] };
}

/** Shape, margin and sample all drawn at once: combinations that nobody thought of. */
export function randomCases(implementation: Implementation): ContractCase[] {
  return Array.from({ length: PROBLEMS }, (_, index) => randomCase(implementation, index)).filter(
    (one) => one !== null,
  );
}

function randomCase(
  { maxSubCenters, hasSampling, maxProducts = Infinity }: Implementation,
  index: number,
): ContractCase | null {
  const { below, among } = drawsOf(index);
  const size = {
    batch: 1 + below(40),
    classes: 1 + below(150),
    dim: 2 + below(70),
    subCenters: Math.min(among([1, 1, 2, 3, 5]), maxSubCenters),
  };
  const rule = fp32Rule({
    scale: among(SCALES),
    m1: among([1, 1, 0.9, 1.35]),
    m2: below(60) / 100,
    m3: below(40) / 100,
    fallback: among(FALLBACKS),
    gradient: among(['exact', 'straight-through'] as const),
  });
  const rate = hasSampling ? among([1, 1, 0.1, 0.5]) : 1;
  const { batch, classes, dim, subCenters } = size;
  if (batch * classes * dim * subCenters > maxProducts) return null;
  return {
    group: 'random problems',
    name: `${index}: B ${batch}, C ${classes}, K ${subCenters}, D ${dim}, rate ${rate}, ${rule.fallback}, ${rule.gradient}`,
    run: (implementation) => {
      const whole = problem(1000 + index, size, { ...ARCFACE, ...rule });
      const draw = { classes, firstClass: 0, labels: whole.batch.labels, rate, seed: 1n, step: 2n, shard: 0 };
      const sampled = rate < 1 ? sampleClasses(draw) : undefined;
      expectProblem(implementation, { ...whole, batch: { ...whole.batch, sampled } });
    },
  };
}
