import { HyperArcError } from '@hyperarc/kernels-cuda';

import { firstNonFinite } from './firstNonFinite.js';
import { ForwardState } from './forwardState.js';
import { NON_FINITE_FIX } from './guard.js';
import type { Session } from './session.js';
import { trainStep, type MicroBatch, type StepRates, type StepResult } from './step.js';

/** Steps skipped so far; saved with a checkpoint. */
export interface SkipCounts {
  total: number;
  /** Up to now, without one between that was made. */
  inARow: number;
}

const DEFAULT_MAX_SKIPS = 10;

function asNonFinite(error: unknown): HyperArcError | undefined {
  return error instanceof HyperArcError && error.code === 'E_NONFINITE' ? error : undefined;
}

const textOf = ({ message }: HyperArcError): string => message.replace(/^E_NONFINITE: /, '');

/**
 * Makes steps under `training.onNonFinite`. A step that is skipped leaves weights, optimizer, running statistics and head as if it had
 * not been tried; it counts as a step of the schedule, and its images are not seen again before the next epoch.
 */
export class GuardedStep {
  readonly #skips: SkipCounts;

  constructor(
    private readonly session: Session,
    saved: SkipCounts = { total: 0, inARow: 0 },
  ) {
    this.#skips = { ...saved };
  }

  counts(): SkipCounts {
    return { ...this.#skips };
  }

  /**
   * @param step 1-based number of the update.
   * @returns the step's numbers; or why it was skipped, in words.
   * @throws HyperArcError E_NONFINITE where the policy is to stop, or more than `training.maxSkips` in a row would be skipped; others of trainStep.
   */
  make(batches: readonly MicroBatch[], rates: StepRates, step: number): StepResult | string {
    return this.session.config.training.onNonFinite === 'skip'
      ? this.#makeOrSkip(batches, rates, step)
      : this.#makeOrStop(batches, rates, step);
  }

  #where(batches: readonly MicroBatch[]): string {
    const { backbone, config } = this.session;
    const first = firstNonFinite(backbone, batches, config.data.imageSize);
    return first === undefined ? '' : `; first that is not finite: ${first}`;
  }

  #makeOrStop(batches: readonly MicroBatch[], rates: StepRates, step: number): StepResult {
    try {
      return trainStep(this.session.parts, batches, rates, step);
    } catch (error) {
      const nonFinite = asNonFinite(error);
      if (nonFinite === undefined) throw error;
      throw new HyperArcError('E_NONFINITE', textOf(nonFinite) + this.#where(batches), { cause: error });
    }
  }

  #makeOrSkip(batches: readonly MicroBatch[], rates: StepRates, step: number): StepResult | string {
    const { backbone, head, parts, config } = this.session;
    using before = new ForwardState(backbone, head);
    try {
      const result = trainStep(parts, batches, rates, step);
      this.#skips.inARow = 0;
      return result;
    } catch (error) {
      const nonFinite = asNonFinite(error);
      if (nonFinite === undefined) throw error;
      before.restore();
      // The forward pass it may make is one of the same masks, and leaves no trace.
      const reason = textOf(nonFinite).replace(`; ${NON_FINITE_FIX}`, '') + this.#where(batches);
      before.restore();
      const maxSkips = config.training.maxSkips ?? DEFAULT_MAX_SKIPS;
      if (this.#skips.inARow >= maxSkips) {
        const expected = `at most ${maxSkips} steps in a row that are not finite (training.maxSkips)`;
        throw new HyperArcError(
          'E_NONFINITE',
          `step ${step}: expected ${expected}, received one more: ${reason}; ${NON_FINITE_FIX}`,
          {
            cause: error,
          },
        );
      }
      this.#skips.inARow++;
      this.#skips.total++;
      return reason;
    }
  }
}
