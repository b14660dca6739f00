import { EXIT } from './exitCodes.js';

let closed = false;
let watched = false;

/**
 * From now on output that nobody takes any more (`| head`, a `tee` that was killed, a full disk below a log) no longer ends the process:
 * who asks {@link isOutputClosed} can save first.
 */
export function watchOutput(): void {
  watched = true;
}

/** Whether a line of output could not be written. */
export const isOutputClosed = (): boolean => closed;

/**
 * For a process's beginning. A program whose reader has gone (`| head`) ends quietly, as one that SIGPIPE ends, where nobody watches;
 * Node would print a stack.
 */
export function endWithOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      closed = true;
      if (watched) return;
      const isReaderGone = error.code === 'EPIPE';
      if (!isReaderGone && stream === process.stdout) process.stderr.write(`hyperarc: output: ${error.message}\n`);
      process.exit(isReaderGone ? EXIT.outputClosed : EXIT.failed);
    });
  }
}
