/** Exit codes of the `hyperarc` command. */
export const EXIT = {
  ok: 0,
  /** A run or check that failed; the message says why. */
  failed: 1,
  /** The command line was not understood. */
  usage: 2,
  /** Stopped by SIGINT or SIGTERM after saving: 128 + signal number. */
  interrupted: 130,
  terminated: 143,
} as const;

/** The exit code of a command that a signal stopped in good order. */
export function stoppedExit(signal: NodeJS.Signals): number {
  return signal === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
}
