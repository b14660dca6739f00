import type { TrainRecord } from '../metrics/jsonLines.js';

/** Seconds as `42s`, `3m07s`, `5h02m`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h${two(Math.floor((seconds % 3600) / 60))}m`;
}

const SEPARATOR = '  ';

/** One line of progress, what matters most first; parts that a line of `width` has no room for are left out. */
export function progressLine(record: TrainRecord, totalSteps: number, width = Infinity): string {
  const remainingSteps = totalSteps - record.step;
  const stepMs = record.elapsedMs / Math.max(1, record.stepsDone);
  const parts = [
    `step ${record.step}/${totalSteps}`,
    `loss ${record.loss.toFixed(4)}`,
    `${record.imagesPerSecond.toFixed(0)} img/s`,
    `wait ${(100 * record.dataWaitShare).toFixed(0)}%`,
    `ETA ${formatDuration(remainingSteps * stepMs)}`,
    `epoch ${record.epoch.toFixed(2)}`,
    `cos ${record.targetCosine.toFixed(3)}`,
    `lr ${record.learningRate.toPrecision(3)}`,
  ];
  while (parts.length > 1 && parts.join(SEPARATOR).length > width) parts.pop();
  return parts.join(SEPARATOR);
}

/** Where progress goes: a terminal's one line that is rewritten, or plain lines in a log. */
export class Progress {
  #lineShown = false;

  constructor(
    private readonly stream: NodeJS.WritableStream & { isTTY?: boolean; columns?: number },
    private readonly totalSteps: number,
  ) {}

  update(record: TrainRecord): void {
    if (this.stream.isTTY !== true) {
      this.stream.write(`${progressLine(record, this.totalSteps)}\n`);
      return;
    }
    // Longer than the terminal is wide, the line could not be rewritten in place.
    const width = Math.max(1, (this.stream.columns ?? 80) - 1);
    this.stream.write(`\r\x1b[K${progressLine(record, this.totalSteps, width).slice(0, width)}`);
    this.#lineShown = true;
  }

  /** A message of its own line; the progress line is drawn again by the next update. */
  note(message: string): void {
    this.close();
    this.stream.write(`${message}\n`);
  }

  /** Ends the progress line, so that what comes next begins a new one. */
  close(): void {
    if (this.#lineShown) this.stream.write('\n');
    this.#lineShown = false;
  }
}
