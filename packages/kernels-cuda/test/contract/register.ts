import { describe, it } from 'vitest';
import type { Implementation } from './implementation.js';
import { contractCases } from './suite.js';

/** Registers the whole contract suite for an implementation with vitest. */
export function describeContract(implementation: Implementation): void {
  describe(`contract: ${implementation.name}`, () => {
    const cases = contractCases(implementation);
    for (const group of new Set(cases.map((one) => one.group))) {
      describe(group, () => {
        for (const one of cases) if (one.group === group) it(one.name, () => one.run(implementation));
      });
    }
  });
}
