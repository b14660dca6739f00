import { HyperArcError } from '../../dist/index.js';

/** One expectation; `run` throws where it does not hold, and returns a sentence where it could not be tried. */
export interface Check {
  readonly group: string;
  readonly name: string;
  /** The kernels that it runs: where they hang or end a process again and again, the rest of their checks is left out. */
  readonly subject: string;
  readonly run: () => void | string | Promise<void | string>;
}

/** How one check ended. `reason`: why it was skipped, or in what it failed. */
export interface Outcome {
  readonly status: 'passed' | 'skipped' | 'failed' | 'not run';
  readonly seconds: number;
  readonly reason?: string;
}

/** Whether the family of kernels that a check insists on has no kernel for its problem, which is no fault. */
export function isOutOfReach(error: unknown): boolean {
  return (
    error instanceof HyperArcError &&
    (error.code === 'E_RANGE' || error.code === 'E_DEVICE') &&
    /^(E_\w+: )?kernels: expected/.test(error.message)
  );
}

export async function runCheck(check: Check): Promise<Outcome> {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1e3;
  try {
    const reason = await check.run();
    return typeof reason === 'string'
      ? { status: 'skipped', seconds: seconds(), reason }
      : { status: 'passed', seconds: seconds() };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { status: isOutOfReach(error) ? 'skipped' : 'failed', seconds: seconds(), reason };
  }
}
