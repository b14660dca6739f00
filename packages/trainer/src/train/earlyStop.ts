import type { Config } from '../config/index.js';

/** Where early stopping stands; saved with a checkpoint. */
export interface EarlyStopState {
  /** What was watched: its values mean nothing to a run that goes on watching the other. */
  on: Options['on'];
  /** The best value so far, and the step it was measured at; null before the first. */
  best: { value: number; step: number } | null;
  /** Measurements since then. */
  since: number;
}

type Options = NonNullable<Config['training']['earlyStop']>;

/** Watches held-out accuracy (higher is better) or the logged loss (lower is better) for the end of progress. */
export class EarlyStop {
  #state: EarlyStopState;

  constructor(
    private readonly options: Options,
    saved?: EarlyStopState,
  ) {
    this.#state = saved?.on === options.on ? { ...saved } : { on: options.on, best: null, since: 0 };
  }

  /** Takes a measurement in; those of the other kind are not its business. A best value is one that beats the last best by more than minDelta. */
  see(kind: Options['on'], value: number, step: number): void {
    const { on, minDelta } = this.options;
    if (kind !== on) return;
    const { best, since } = this.#state;
    const gain = best === null ? Infinity : on === 'accuracy' ? value - best.value : best.value - value;
    this.#state = gain > minDelta ? { on, best: { value, step }, since: 0 } : { on, best, since: since + 1 };
  }

  /** Why to stop, in words; undefined: go on. */
  get reason(): string | undefined {
    const { patience, on, minDelta } = this.options;
    const { best, since } = this.#state;
    if (best === null || since < patience) return undefined;
    const by = minDelta > 0 ? ` by more than ${minDelta}` : '';
    return on === 'accuracy'
      ? `held-out accuracy has not risen${by} in ${since} verifications since ${(100 * best.value).toFixed(2)}% at step ${best.step}`
      : `loss has not fallen${by} in ${since} lines of the log since ${best.value.toFixed(4)} at step ${best.step}`;
  }

  state(): EarlyStopState {
    return { ...this.#state };
  }
}
