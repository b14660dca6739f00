import { contractCases } from '../contract/suite.js';
import type { Check } from './checks.js';
import { passesOnce } from './identical.js';
import { randomChecks } from './random.js';
import type { EngineSubject } from './subjects.js';

export const TOOLS = ['memcheck', 'racecheck', 'initcheck', 'synccheck'] as const;

/** Most cases of a group of the contract, and their size: a sanitizer slows a kernel a hundredfold and more. */
const CASES = 2;
const MAX_PRODUCTS = 30_000;

function* checksOf(subject: EngineSubject): Iterable<Check> {
  const { name, implementation } = subject;
  const group = `sanitize: ${name}`;
  for (const dim of [512, 500, 256, 250, 128, 64]) {
    for (const rate of [1, 0.3]) {
      const size = { dim, classes: 333, batch: 140, rate };
      yield { group, subject: name, name: `tiles: D ${dim}, rate ${rate}`, run: () => void passesOnce(subject, size) };
    }
  }
  const small = { ...implementation, maxProducts: MAX_PRODUCTS };
  const seen = new Map<string, number>();
  for (const one of contractCases(small)) {
    const before = seen.get(one.group) ?? 0;
    seen.set(one.group, before + 1);
    if (before < CASES) yield { group, subject: name, name: `${one.group}: ${one.name}`, run: () => one.run(small) };
  }
}

/**
 * Few and small problems through every kernel: compute-sanitizer must be done within minutes. For each row length one step over several tiles of
 * classes and samples, with tails of both; small cases of each group of the contract; random shapes. The kernel families take turns, so that a run
 * that is cut off has seen all of them.
 */
export function* sanitizeChecks(subjects: readonly EngineSubject[]): Iterable<Check> {
  const lists = subjects.map((subject) => [...checksOf(subject)]);
  const longest = lists.reduce((most, list) => Math.max(most, list.length), 0);
  for (let turn = 0; turn < longest; turn++) {
    for (const list of lists) if (turn < list.length) yield list[turn];
  }
  yield* randomChecks(subjects, 3 * subjects.length);
}
