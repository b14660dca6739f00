import { appendFileSync } from 'node:fs';
import { spawn, type ChildProcess } from 'node:child_process';

/** One part of `run all`: a command of the bundle. */
export interface Part {
  name: string;
  /** Arguments of `run`. */
  args: readonly string[];
  /** Most that it may take of the time that is left. */
  share: number;
  /** Whether it ends itself with --seconds. */
  takesSeconds: boolean;
}

/** How a part went. `status`: its exit code, a signal, or undefined where it was not run for want of time. */
export interface PartResult {
  name: string;
  status: number | string | undefined;
  seconds: number;
}

export interface DayOptions {
  /** The bundle's `run`. */
  run: string;
  /** performance.now() at which everything ends. */
  deadline: number;
  /** Everything that the parts say. */
  logFile: string;
  log: (text: string) => void;
  /** After each part, with all results so far. */
  onResult: (results: readonly PartResult[]) => void;
}

/** Less is not worth beginning. */
const LEAST_SECONDS = 5;
/** How long a part may take to end after its time is over. */
const GRACE_SECONDS = 10;

let current: ChildProcess | undefined;

/** Ends the part that is running, with all that it started. */
export function endPart(signal: NodeJS.Signals): void {
  if (current?.pid === undefined) return;
  try {
    process.kill(-current.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Runs the parts one after another, whatever becomes of each. */
export async function runParts(parts: readonly Part[], options: DayOptions): Promise<PartResult[]> {
  const results: PartResult[] = [];
  for (const part of parts) {
    const left = (options.deadline - performance.now()) / 1e3;
    const limit = part.share * left;
    if (limit < LEAST_SECONDS) {
      say(options, `\n=== ${part.name}: not run for want of time\n`);
      results.push({ name: part.name, status: undefined, seconds: 0 });
    } else {
      results.push(await runPart(part, limit, options));
    }
    options.onResult(results);
  }
  return results;
}

function say({ log, logFile }: DayOptions, text: string): void {
  appendFileSync(logFile, text);
  log(text);
}

async function runPart(part: Part, limit: number, options: DayOptions): Promise<PartResult> {
  const start = performance.now();
  const isLimited = Number.isFinite(limit);
  const within = isLimited ? ` (at most ${limit.toFixed(0)} s)` : '';
  say(options, `\n=== ${part.name}: run ${part.args.join(' ')}${within}\n`);
  const seconds = isLimited && part.takesSeconds ? ['--seconds', limit.toFixed(0)] : [];
  const child = spawn(options.run, [...part.args, ...seconds], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  current = child;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => say(options, text));
  }
  // SIGTERM first, so that it ends the processes that have groups of their own.
  const after = (more: number, signal: NodeJS.Signals) =>
    isLimited ? setTimeout(() => endPart(signal), 1e3 * (limit + more)) : undefined;
  const timers = [after(GRACE_SECONDS / 2, 'SIGTERM'), after(GRACE_SECONDS, 'SIGKILL')];
  const status = await new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code ?? signal!));
  });
  timers.forEach(clearTimeout);
  current = undefined;
  const result = { name: part.name, status, seconds: (performance.now() - start) / 1e3 };
  say(options, `=== ${part.name}: ended with ${status} after ${result.seconds.toFixed(0)} s\n`);
  return result;
}
