let closed = false;
let watched = false;

/**
 * From now on output that nobody takes any more (`| head`, a `tee` that was killed, a full disk below a log) no longer ends the process
 * with a stack: who asks {@link isOutputClosed} can save first.
 */
export function watchOutput(): void {
  if (watched) return;
  watched = true;
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => (closed = true));
}

/** Whether a line of output could not be written since {@link watchOutput}. */
export const isOutputClosed = (): boolean => closed;
