import { edgeCases } from './cases-edges.js';
import { familyCases } from './cases-families.js';
import { fewCases } from './cases-few.js';
import { togetherCases } from './cases-heads-together.js';
import { marginCases } from './cases-margins.js';
import { negativeCases } from './cases-negatives.js';
import { randomHeadCases } from './cases-random-heads.js';
import { randomCases } from './cases-random.js';
import { roundingCases } from './cases-rounding.js';
import { samplingCases } from './cases-sampling.js';
import { sizeCases } from './cases-sizes.js';
import { updateCases } from './cases-update.js';
import { adamwCases } from './cases-adamw.js';
import type { Implementation } from './implementation.js';

/** One expectation of the contract; `run` throws where the implementation breaks it. */
export interface ContractCase {
  readonly group: string;
  readonly name: string;
  readonly run: (implementation: Implementation) => void;
}

/** The contract of docs/numerics.md, for all that `implementation` can do. */
export function contractCases(implementation: Implementation): ContractCase[] {
  return [
    ...sizeCases(implementation),
    ...marginCases(implementation),
    ...familyCases(implementation),
    ...negativeCases(implementation),
    ...togetherCases(implementation),
    ...edgeCases(implementation),
    ...fewCases(implementation),
    ...randomCases(implementation),
    ...randomHeadCases(implementation),
    ...samplingCases(implementation),
    ...updateCases(implementation),
    ...adamwCases(implementation),
    ...roundingCases(implementation),
  ];
}
