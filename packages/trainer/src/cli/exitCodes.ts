import type { TrainResult } from '../train/train.js';

/** Exit codes of the `hyperarc` command. */
export const EXIT = {
  ok: 0,
  /** A run or check that failed; the message says why. */
  failed: 1,
  /** The command line was not understood. */
  usage: 2,
  /** `training.maxMinutes` or `maxHours` were over before the last step; saved, to go on with --resume. The code of timeout(1). */
  timeOver: 124,
  /** Stopped by SIGINT, closed output (SIGPIPE) or SIGTERM after saving: 128 + signal number. */
  interrupted: 130,
  outputClosed: 141,
  terminated: 143,
} as const;

/** The exit code of a training. Early stopping is an end in good order: 0. */
export function trainingExit({ end, stoppedBy }: Pick<TrainResult, 'end' | 'stoppedBy'>): number {
  if (stoppedBy !== undefined) return stoppedExit(stoppedBy);
  return end === 'time' ? EXIT.timeOver : EXIT.ok;
}

/** The exit code of a command that a signal stopped in good order. */
export function stoppedExit(signal: NodeJS.Signals): number {
  if (signal === 'SIGPIPE') return EXIT.outputClosed;
  return signal === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
}
