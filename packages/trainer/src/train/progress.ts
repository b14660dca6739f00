import type { TrainRecord } from '../metrics/jsonLines.js';

/** Seconds as `42s`, `3m07s`, `5h02m`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h${two(Math.floor((seconds % 3600) / 60))}m`;
}

/** One line of progress. */
export function progressLine(record: TrainRecord, totalSteps: number): string {
  const remainingSteps = totalSteps - record.step;
  const stepMs = record.elapsedMs / Math.max(1, record.stepsDone);
  return [
    `step ${record.step}/${totalSteps}`,
    `epoch ${record.epoch.toFixed(2)}`,
    `loss ${record.loss.toFixed(4)}`,
    `cos ${record.targetCosine.toFixed(3)}`,
    `lr ${record.learningRate.toPrecision(3)}`,
    `${record.imagesPerSecond.toFixed(0)} img/s`,
    `wait ${(100 * record.dataWaitShare).toFixed(0)}%`,
    `ETA ${formatDuration(remainingSteps * stepMs)}`,
  ].join('  ');
}

/** Where progress goes: a terminal's one line that is rewritten, or plain lines in a log. */
export class Progress {
  #lineShown = false;

  constructor(
    private readonly stream: NodeJS.WritableStream & { isTTY?: boolean; columns?: number },
    private readonly totalSteps: number,
  ) {}

  update(record: TrainRecord): void {
    const line = progressLine(record, this.totalSteps);
    if (this.stream.isTTY !== true) {
      this.stream.write(`${line}\n`);
      return;
    }
    // Longer than the terminal is wide, the line could not be rewritten in place.
    this.stream.write(`\r\x1b[K${line.slice(0, Math.max(1, (this.stream.columns ?? 80) - 1))}`);
    this.#lineShown = true;
  }

  /** A message of its own line; the progress line is drawn again by the next update. */
  note(message: string): void {
    if (this.#lineShown) this.stream.write('\n');
    this.#lineShown = false;
    this.stream.write(`${message}\n`);
  }
}
