import { constants } from 'node:os';

type StopSignal = 'SIGINT' | 'SIGTERM';

/** Ctrl-C under `npm start` comes twice: from the terminal, and passed on by npm. Signals this close together are one. */
const SAME_WISH_MS = 500;

/** Turns SIGINT and SIGTERM into a wish to stop when it suits; a second one ends the process at once. */
export class StopRequest implements Disposable {
  #received: StopSignal | undefined;
  #receivedAt = 0;
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (this.#received === undefined) {
      this.#received = signal as StopSignal;
      this.#receivedAt = performance.now();
      this.announce(signal as StopSignal);
    } else if (performance.now() - this.#receivedAt > SAME_WISH_MS) {
      process.exit(128 + constants.signals[signal]);
    }
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
