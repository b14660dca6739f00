import { ARCFACE, fp32Rule, problem } from './data.js';
import { expectProblem } from './expectations.js';
import type { Implementation } from './implementation.js';
import type { ContractCase } from './suite.js';

const SEEDS = [1, 2, 3, 4];
const SCALES = [4, 16];

function fewCase(batch: number, classes: number, dims: readonly number[]): ContractCase {
  const run = (implementation: Implementation) => {
    for (const dim of dims) {
      for (const seed of SEEDS) {
        for (const scale of SCALES) {
          const rule = fp32Rule({ ...ARCFACE, scale });
          expectProblem(implementation, problem(1000 * seed + batch + classes + dim, { batch, classes, dim }, rule));
        }
      }
    }
  };
  return { group: 'few terms', name: `B ${batch}, C ${classes}, D ${dims.join(', ')}`, run };
}

/** Few samples and classes, or few dimensions, where the terms of a gradient nearly cancel: what is left shows how each was rounded. */
export function fewCases({ roundsFewTerms = false }: Implementation): ContractCase[] {
  if (roundsFewTerms) return [];
  const small = [1, 2, 3].flatMap((batch) => [2, 3, 4, 5].map((classes) => fewCase(batch, classes, [2, 3, 8])));
  return [...small, fewCase(20, 100, [2, 3]), fewCase(20, 200, [8, 9])];
}
