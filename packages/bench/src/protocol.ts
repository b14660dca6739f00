/**
 * How the runner and a case's child process talk: one JSON object a line. The child gets its {@link ProgramSpec} as its last argument, answers
 * `ready` or `skip` on standard output, then each line {"iterations": n} on its standard input with `samples`, and the end of its input with `done`.
 * peers/*.py speak the same.
 */
import type { Axes, ProgramName } from './cases.js';

export interface ProgramSpec {
  program: ProgramName;
  axes: Axes;
  threads: number;
  quick: boolean;
}

export interface Ready {
  kind: 'ready';
  facts: Record<string, string | number>;
  /** Operations of one iteration, where they are not `headFlops`. */
  flops?: number;
}

export interface Skip {
  kind: 'skip';
  reason: string;
}

export interface Samples {
  kind: 'samples';
  elapsedMs: number[];
  cpuMs: number[];
}

export interface Done {
  kind: 'done';
  peakBytes: number;
  /** What the last iterations found, for example the loss; `takenBytes`: memory taken since before the centres were made. */
  facts?: Record<string, string | number>;
}

export type Reply = Ready | Skip | Samples | Done;
