import type { ReferenceRule } from '../../dist/reference/index.js';
import { ARCFACE, fp32Rule, normals, problem } from './data.js';
import { expectProblem } from './expectations.js';
import type { Implementation } from './implementation.js';
import type { ContractCase } from './suite.js';

const MARGINS: { name: string; margin: Partial<ReferenceRule> }[] = [
  { name: 'NormFace', margin: { m2: 0 } },
  { name: 'ArcFace', margin: {} },
  { name: 'CosFace', margin: { m2: 0, m3: 0.35 } },
  { name: 'combined', margin: { m2: 0.3, m3: 0.2 } },
  { name: 'multiplicative', margin: { m1: 1.35, m2: 0 } },
  { name: 'all three', margin: { m1: 1.2, m2: 0.4, m3: 0.15 } },
  { name: 'negative margins, m1 below 1', margin: { m1: 0.9, m2: -0.2, m3: -0.1 } },
];
const SCALES = [1, 16, 30, 64, 128];
/** B and C leave tails of every register width; three samples of four are planted or far. */
const SIZE = { batch: 13, classes: 19, dim: 24 };

export function marginCases({ hasRowParameters }: Implementation): ContractCase[] {
  const everyRule: ContractCase[] = MARGINS.flatMap(({ name, margin }) =>
    (['hard', 'easy', 'none', 'clip'] as const).flatMap((fallback) =>
      (['exact', 'straight-through'] as const).map((gradient) => ({
        group: 'margins',
        name: `${name}, ${fallback}, ${gradient}`,
        run: (implementation) =>
          expectProblem(implementation, problem(7, SIZE, fp32Rule({ ...ARCFACE, ...margin, fallback, gradient }))),
      })),
    ),
  );
  const everyScale: ContractCase[] = SCALES.map((scale) => ({
    group: 'margins',
    name: `scale ${scale}`,
    run: (implementation) => expectProblem(implementation, problem(8, SIZE, { ...ARCFACE, scale })),
  }));
  const perSample: ContractCase = {
    group: 'margins',
    name: 'per-sample scale and margins',
    run: (implementation) => {
      const { centers, batch } = problem(9, SIZE);
      const spread = normals(10, 4 * SIZE.batch);
      const base = [32, 1, 0.4, 0.1];
      const width = [8, 0.05, 0.1, 0.05];
      const rowParameters = spread.map((value, e) => base[e % 4] + width[e % 4] * Math.tanh(value));
      expectProblem(implementation, { centers, batch: { ...batch, rowParameters } });
    },
  };
  return [...everyRule, ...everyScale, ...(hasRowParameters ? [perSample] : [])];
}
