import { appendFileSync } from 'node:fs';
import type { Check, Outcome } from './checks.js';

const STATUSES = ['passed', 'skipped', 'failed', 'not run'] as const;

class Tally {
  readonly counts = { passed: 0, skipped: 0, failed: 0, 'not run': 0 };
  readonly reasons = new Map<Outcome['status'], string>();
  seconds = 0;

  constructor(public left = 0) {}

  add({ status, seconds, reason }: Outcome): void {
    this.left -= 1;
    this.counts[status] += 1;
    this.seconds += seconds;
    if (reason !== undefined) this.reasons.set(status, reason);
  }

  /** "12 passed, 3 skipped (why), 0 failed", and what was not run where there is any. */
  get sentence(): string {
    const part = (status: (typeof STATUSES)[number]) => {
      const why = status === 'failed' || this.counts[status] === 0 ? undefined : this.reasons.get(status);
      return `${this.counts[status]} ${status}${why === undefined ? '' : ` (${why})`}`;
    };
    return STATUSES.filter((status) => status !== 'not run' || this.counts[status] > 0)
      .map(part)
      .join(', ');
  }
}

const FAILURES_SHOWN = 20;

/**
 * What the checks of a run came to: a failure in full as soon as it is known, a line for each group when its last check has ended, and
 * a JSON line in the records for every check, written at once: a run that is cut off keeps what it proved.
 */
export class Report {
  private readonly tallies = new Map<string, Tally>();

  constructor(
    checks: readonly Check[],
    private readonly log: (line: string) => void,
    private readonly file: string,
    private readonly run: string,
  ) {
    for (const { group } of checks) {
      const tally = this.tallies.get(group);
      if (tally === undefined) this.tallies.set(group, new Tally(1));
      else tally.left += 1;
    }
  }

  add({ group, name }: Check, outcome: Outcome): void {
    const record = { run: this.run, group, name, ...outcome, seconds: Number(outcome.seconds.toFixed(4)) };
    appendFileSync(this.file, `${JSON.stringify(record)}\n`);
    const tally = this.tallies.get(group)!;
    tally.add(outcome);
    if (outcome.status === 'failed' && tally.counts.failed <= FAILURES_SHOWN) {
      this.log(`  FAILED ${group}: ${name}\n    ${outcome.reason!.replaceAll('\n', '\n    ')}`);
    }
    if (tally.left > 0) return;
    const { failed, 'not run': undone } = tally.counts;
    const word = failed > 0 ? 'FAILED' : undone > 0 ? 'UNDONE' : 'ok    ';
    this.log(`${word} ${group}: ${tally.sentence}; ${tally.seconds.toFixed(1)} s`);
  }

  count(status: Outcome['status']): number {
    return [...this.tallies.values()].reduce((sum, { counts }) => sum + counts[status], 0);
  }
}
