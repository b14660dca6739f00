import type { ReferenceRule } from '../../dist/reference/index.js';
import { ARCFACE, fp32Rule, normals, problem } from './data.js';
import { expectProblem } from './expectations.js';
import type { Implementation } from './implementation.js';
import { FAMILIES } from './rules.js';
import type { ContractCase } from './suite.js';

/** B and C leave tails of every register width; three samples of four are planted or far. */
const SIZE = { batch: 13, classes: 19, dim: 24 };

function caseOf(name: string, rule: ReferenceRule, seed = 11): ContractCase {
  return {
    group: 'families',
    name,
    run: (implementation) => expectProblem(implementation, problem(seed, SIZE, rule)),
  };
}

/** Each row near the rule's own numbers, inside the family's ranges. */
function perSample(name: string, rule: ReferenceRule): ContractCase {
  return {
    group: 'families',
    name: `${name}, per-sample scale and margins`,
    run: (implementation) => {
      const { centers, batch } = problem(12, SIZE, rule);
      const { scale, m1, m2, m3 } = rule;
      const spread = normals(13, 4 * SIZE.batch).map((value) => Math.tanh(value) ** 2);
      // Margins that are 0 stay 0: 'sphere' takes no m2. The others grow by up to a quarter, m1 shrinks towards 1.
      const rowParameters = Float32Array.from({ length: 4 * SIZE.batch }, (_, e) => {
        const u = spread[e];
        return [scale * (1 - u / 2), m1 + (1 - m1) * (u / 4), m2 * (1 + u / 4), m3 * (1 - u / 4)][e % 4];
      });
      expectProblem(implementation, { centers, batch: { ...batch, rowParameters } });
    },
  };
}

/** Margin families, the blend with the plain cosine, and the angle of `clip`. */
export function familyCases({ hasFamilies, hasRowParameters }: Implementation): ContractCase[] {
  if (!hasFamilies) return [];
  const families = Object.entries(FAMILIES);
  const gradients = ['exact', 'straight-through'] as const;
  const whole = families.flatMap(([name, rule]) =>
    gradients.map((gradient) => caseOf(`${name}, ${gradient}`, { ...rule, gradient })),
  );
  const annealed = families.flatMap(([name, rule]) =>
    gradients.map((gradient) =>
      caseOf(`${name}, blend 1/6, ${gradient}`, fp32Rule({ ...rule, gradient, blend: 1 / 6 })),
    ),
  );
  const allThree = { ...ARCFACE, m1: 1.2, m2: 0.4, m3: 0.15 };
  const blended = (['hard', 'easy', 'none', 'clip'] as const).flatMap((fallback) =>
    gradients.map((gradient) =>
      caseOf(
        `all three, ${fallback}, blend 0.35, ${gradient}`,
        fp32Rule({ ...allThree, fallback, gradient, blend: 0.35 }),
      ),
    ),
  );
  const nothing = families.map(([name, rule]) => caseOf(`${name}, blend 0`, { ...rule, blend: 0 }));
  const clips = [1e-6, 1e-3, 0.09375].map((clipRadians) =>
    caseOf(`clip at ${clipRadians} radians`, fp32Rule({ ...allThree, m2: 0.5, m3: 0, fallback: 'clip', clipRadians })),
  );
  const rows = hasRowParameters ? families.map(([name, rule]) => perSample(name, rule)) : [];
  return [...whole, ...annealed, ...blended, ...nothing, ...clips, ...rows];
}
