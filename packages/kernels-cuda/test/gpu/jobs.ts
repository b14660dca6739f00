import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Check, Outcome } from './checks.js';
import type { ShareLine } from './share.js';
import { indicesOf } from './share.js';

export interface JobOptions {
  /** Processes at once. */
  readonly jobs: number;
  /** Command of a process that runs a share (share.ts), to which the share is added. */
  readonly command: readonly string[];
  /** Seconds that a process may be silent before it is taken for hung. */
  readonly patience: number;
  /** performance.now() at which everything ends. */
  readonly deadline: number;
  readonly onOutcome: (check: Check, outcome: Outcome) => void;
  /** Everything that a process said and is no outcome, e.g. what a sanitizer found. */
  readonly onText: (line: string) => void;
}

/** A subject is left alone after so many checks of its that hung, or that ended or spoilt their process. */
const MOST_HUNG = 2;
const MOST_BROKEN = 5;
/** Lines that a process may say besides its outcomes: a broken kernel can say something for every thread. */
const MOST_LINES = 400;

const running = new Set<ChildProcess>();

/** Ends a process and all that it started. */
function kill(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

export function killAll(): void {
  for (const child of running) kill(child);
}

/** One process; resolves when it has ended, with how. `onLine` hears what it says. */
async function runProcess(
  [program, ...args]: readonly string[],
  { patience, deadline }: JobOptions,
  onLine: (line: string) => void,
): Promise<{ code: number | string | null; wasSilent: boolean }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  running.add(child);
  let heard = performance.now();
  let wasSilent = false;
  const watch = setInterval(() => {
    const now = performance.now();
    wasSilent ||= now > heard + 1e3 * patience;
    if (wasSilent || now > deadline) kill(child);
  }, 100);
  const ended = new Promise<number | string | null>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  const listen = (stream: NodeJS.ReadableStream) =>
    new Promise<void>((resolve) => {
      const lines = createInterface({ input: stream });
      lines.on('line', (line) => {
        heard = performance.now();
        onLine(line);
      });
      lines.on('close', resolve);
    });
  const [code] = await Promise.all([ended, listen(child.stdout), listen(child.stderr)]);
  clearInterval(watch);
  running.delete(child);
  return { code, wasSilent };
}

function parse(line: string): ShareLine | undefined {
  if (!line.startsWith('{"kind":')) return undefined;
  try {
    return JSON.parse(line) as ShareLine;
  } catch {
    return undefined;
  }
}

/**
 * Runs all checks in processes of their own, each a fixed share, and hands on every outcome as it comes. A check that hangs, or takes its
 * process along, has failed, and another process goes on after it.
 * @returns how the processes ended that ended otherwise than with code 0, or could not begin
 */
export async function runJobs(checks: readonly Check[], options: JobOptions): Promise<string[]> {
  const { jobs, command, deadline, onOutcome, onText } = options;
  const troubles: string[] = [];
  const hung = new Map<string, number>();
  const broken = new Map<string, number>();
  const done = new Set<number>();
  const finish = (index: number, outcome: Outcome) => {
    done.add(index);
    onOutcome(checks[index], outcome);
  };
  const count = (map: Map<string, number>, subject: string) => map.set(subject, (map.get(subject) ?? 0) + 1);
  const without = () => [
    ...new Set([
      ...[...hung].filter(([, times]) => times >= MOST_HUNG).map(([subject]) => subject),
      ...[...broken].filter(([, times]) => times >= MOST_BROKEN).map(([subject]) => subject),
    ]),
  ];

  async function work(first: number): Promise<string | undefined> {
    let after = -1;
    while (performance.now() < deadline) {
      const share = { first, of: jobs, after, without: without() };
      const todo = indicesOf(share, checks);
      if (todo.length === 0) return undefined;
      let [isReady, position, lines] = [false, 0, 0];
      let last = performance.now();
      let lastFailed = false;
      const end = await runProcess([...command, JSON.stringify(share)], options, (line) => {
        const said = parse(line);
        if (said === undefined) {
          if (++lines <= MOST_LINES) onText(line);
          return;
        }
        isReady = true;
        last = performance.now();
        if (said.kind === 'ready') return;
        const { kind: _, index, ...outcome } = said;
        finish(index, outcome);
        position += 1;
        after = index;
        lastFailed = outcome.status === 'failed';
      });
      if (performance.now() > deadline) return undefined;
      if (!isReady) return `could not begin: ended with ${end.code}`;
      const isWhole = position === todo.length;
      if (end.code !== 0 && !(end.wasSilent && !isWhole)) troubles.push(`a process ended with ${end.code}`);
      if (isWhole) return undefined;
      if (lastFailed) {
        // The failure before spoilt the device, or hung it: what comes next is not to blame yet.
        count(end.wasSilent ? hung : broken, checks[after].subject);
        continue;
      }
      const index = todo[position];
      count(end.wasSilent ? hung : broken, checks[index].subject);
      const reason = end.wasSilent
        ? `expected an answer within ${options.patience} s, received none; its process was ended`
        : `its process ended with ${end.code}`;
      finish(index, { status: 'failed', seconds: (performance.now() - last) / 1e3, reason });
      after = index;
    }
    return undefined;
  }

  const refusals = await Promise.all(Array.from({ length: Math.min(jobs, checks.length) }, (_, first) => work(first)));
  const refusal = refusals.find((reason) => reason !== undefined);
  if (refusal !== undefined) troubles.push(refusal);
  const left = new Set(without());
  checks.forEach(({ subject }, index) => {
    if (done.has(index)) return;
    const reason = refusal ?? (left.has(subject) ? 'too many checks of these kernels hung or broke' : 'no time left');
    finish(index, { status: 'not run', seconds: 0, reason });
  });
  return troubles;
}
