import { constants } from 'node:os';

type StopSignal = 'SIGINT' | 'SIGTERM';

/** Turns SIGINT and SIGTERM into a wish to stop after the current step; a second one ends the process at once. */
export class StopRequest implements Disposable {
  #received: StopSignal | undefined;
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (this.#received !== undefined) process.exit(128 + constants.signals[signal]);
    this.#received = signal as StopSignal;
    this.announce(signal as StopSignal);
  };

  /** @param announce called once, when the first signal comes. */
  constructor(private readonly announce: (signal: StopSignal) => void) {
    process.on('SIGINT', this.#onSignal);
    process.on('SIGTERM', this.#onSignal);
  }

  /** The signal that asked to stop, if one did. */
  get signal(): StopSignal | undefined {
    return this.#received;
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#onSignal);
    process.off('SIGTERM', this.#onSignal);
  }
}
