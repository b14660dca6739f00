import { contractCases } from '../contract/suite.js';
import type { Check } from './checks.js';
import { passesOnce } from './identical.js';
import { randomChecks } from './random.js';
import type { EngineSubject } from './subjects.js';

export const TOOLS = ['memcheck', 'racecheck', 'initcheck', 'synccheck'] as const;

/** Most cases of a group of the contract, and their size: a sanitizer slows a kernel a hundredfold and more. */
const CASES = 2;
const MAX_PRODUCTS = 30_000;

/**
 * Few and small problems through every kernel: compute-sanitizer must be done within minutes. Small cases of each group of the contract, random
 * shapes, and for each row length one step over several tiles of classes and samples, with tails of both.
 */
export function* sanitizeChecks(subjects: readonly EngineSubject[]): Iterable<Check> {
  for (const subject of subjects) {
    const { name, implementation } = subject;
    const group = `sanitize: ${name}`;
    const small = { ...implementation, maxProducts: MAX_PRODUCTS };
    const seen = new Map<string, number>();
    for (const one of contractCases(small)) {
      const before = seen.get(one.group) ?? 0;
      seen.set(one.group, before + 1);
      if (before < CASES) yield { group, subject: name, name: `${one.group}: ${one.name}`, run: () => one.run(small) };
    }
    for (const dim of [64, 128, 250, 256, 500, 512]) {
      for (const rate of [1, 0.3]) {
        const size = { dim, classes: 333, batch: 140, rate };
        yield {
          group,
          subject: name,
          name: `tiles: D ${dim}, rate ${rate}`,
          run: () => void passesOnce(subject, size),
        };
      }
    }
  }
  yield* randomChecks(subjects, 3 * subjects.length);
}
