import { HyperArcError } from '../../dist/index.js';

/** One expectation; `run` throws where it does not hold, and returns a sentence where it could not be tried. */
export interface Check {
  readonly group: string;
  readonly name: string;
  readonly run: () => void | string | Promise<void | string>;
}

/** Whether the family of kernels that a check insists on has no kernel for its problem, which is no fault. */
export function isOutOfReach(error: unknown): boolean {
  return (
    error instanceof HyperArcError &&
    (error.code === 'E_RANGE' || error.code === 'E_DEVICE') &&
    /^(E_\w+: )?kernels: expected/.test(error.message)
  );
}

interface Tally {
  passed: number;
  skipped: number;
  failed: number;
}

const FAILURES_SHOWN = 20;

/**
 * Runs the checks in their order and says what failed, then a line for each group. A group's checks may all be skipped; then the line says why.
 * @returns the number that failed
 */
export async function runChecks(checks: Iterable<Check>, log: (line: string) => void): Promise<number> {
  const tallies = new Map<string, Tally & { reason: string; started: number }>();
  let group: string | undefined;
  const close = () => {
    if (group === undefined) return;
    const { passed, skipped, failed, reason, started } = tallies.get(group)!;
    const why = skipped > 0 ? ` (${reason})` : '';
    const seconds = ((performance.now() - started) / 1e3).toFixed(1);
    log(
      `${failed > 0 ? 'FAILED' : 'ok    '} ${group}: ${passed} passed, ${skipped} skipped${why}, ${failed} failed; ${seconds} s`,
    );
  };
  for (const check of checks) {
    if (check.group !== group) {
      close();
      group = check.group;
      if (!tallies.has(group))
        tallies.set(group, { passed: 0, skipped: 0, failed: 0, reason: '', started: performance.now() });
    }
    const tally = tallies.get(group)!;
    try {
      const reason = await check.run();
      if (typeof reason === 'string') {
        tally.skipped += 1;
        tally.reason = reason;
      } else {
        tally.passed += 1;
      }
    } catch (error) {
      if (isOutOfReach(error)) {
        tally.skipped += 1;
        tally.reason = (error as Error).message;
        continue;
      }
      tally.failed += 1;
      const text = error instanceof Error ? error.message : String(error);
      if (tally.failed <= FAILURES_SHOWN)
        log(`  FAILED ${check.group}: ${check.name}\n    ${text.replaceAll('\n', '\n    ')}`);
    }
  }
  close();
  const all = [...tallies.values()];
  const sum = (key: keyof Tally) => all.reduce((total, tally) => total + tally[key], 0);
  log(`${sum('passed')} passed, ${sum('skipped')} skipped, ${sum('failed')} failed`);
  return sum('failed');
}
