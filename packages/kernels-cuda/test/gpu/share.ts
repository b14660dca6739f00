import type { DeviceSpec } from '../../dist/index.js';
import { openDevice } from '../../dist/index.js';
import type { Check, Outcome } from './checks.js';
import { runCheck } from './checks.js';

/** The checks of one process: every `of`-th from `first` on, later than `after`, of other subjects than `without`. */
export interface Share {
  readonly first: number;
  readonly of: number;
  readonly after: number;
  readonly without: readonly string[];
}

/** What a process says on its output, one JSON object a line, before its checks and after each. */
export type ShareLine = { readonly kind: 'ready' } | ({ readonly kind: 'outcome'; readonly index: number } & Outcome);

export function indicesOf({ first, of, after, without }: Share, checks: readonly Check[]): number[] {
  return checks.flatMap(({ subject }, index) =>
    index % of === first && index > after && !without.includes(subject) ? [index] : [],
  );
}

/** Whether the device still answers: an error of a kernel spoils it for the process that met it. */
function isUsable(spec: DeviceSpec): boolean {
  try {
    const device = openDevice(spec);
    device.createCenters({ classes: 4, dim: 4 }).readRows(0, 4);
    device.dispose();
    return true;
  } catch {
    return false;
  }
}

/** Runs a share, a line for each check. After a failure that spoilt the device it ends early: another process goes on. */
export async function runShare(
  share: Share,
  checks: readonly Check[],
  spec: DeviceSpec,
  say: (line: ShareLine) => void,
): Promise<void> {
  say({ kind: 'ready' });
  for (const index of indicesOf(share, checks)) {
    const outcome = await runCheck(checks[index]);
    say({ kind: 'outcome', index, ...outcome });
    if (outcome.status === 'failed' && !isUsable(spec)) return;
  }
}
