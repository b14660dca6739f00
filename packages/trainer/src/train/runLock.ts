import { readFileSync, readlinkSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

const SIGN_EVERY_MS = 15_000;
/** A step may take minutes, and no timer runs meanwhile. */
const LOST_AFTER_MS = 5 * 60_000;

/** A process that trains a run, as lock.json has it. */
interface Holder {
  readonly pid: number;
  /** When the process began, in the kernel's ticks since its start: another process may get the same number later. Empty where not known. */
  readonly began: string;
  readonly host: string;
  /** Within which `pid` is one process: the kernel since its start, and the container. */
  readonly place: string;
  readonly since: string;
}

/** What `read` gives, or '' where the system has no such file. */
function orNothing(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/** Undefined for a text that is none. */
function parse(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Partial<Holder> | null;
    return typeof holder?.pid === 'number' && typeof holder.place === 'string' ? (holder as Holder) : undefined;
  } catch {
    return undefined;
  }
}

const nameOf = (holder: Holder | undefined): string =>
  holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`;

/** Field 22 of /proc/PID/stat, proc(5); the second is a name in brackets that may hold anything. */
function beganOf(pid: number): string {
  const text = orNothing(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function thisProcess(): Holder {
  const boot = orNothing(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  const place = [hostname(), boot, orNothing(() => readlinkSync('/proc/self/ns/pid'))].join(' ');
  return { pid: process.pid, began: beganOf(process.pid), host: hostname(), place, since: new Date().toISOString() };
}

function isRunning({ pid, began }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // somebody else's
  }
  return beganOf(pid) === began;
}

/**
 * That one process at a time trains a run: two would remove each other's checkpoints and mix their metrics. RUN/lock.json names the
 * process as long as it goes on; every quarter of a minute its time of change is a sign of life.
 */
export class RunLock {
  readonly #path: string;
  readonly #own = thisProcess();
  readonly #timer: NodeJS.Timeout;

  /**
   * @param log told where the run is taken over from a process that ended without giving it back.
   * @throws HyperArcError E_BUSY naming the process that trains it: one here that is running, or one elsewhere that gave a sign of life
   *   within five minutes.
   */
  constructor(
    private readonly runPath: string,
    log: (line: string) => void,
  ) {
    this.#path = join(runPath, 'lock.json');
    if (!this.#write()) {
      const { holder, signMs } = this.#read();
      this.#requireGone(holder, signMs);
      log(`going on in place of ${nameOf(holder)}, which has ended`);
      rmSync(this.#path, { force: true });
      if (!this.#write()) this.#refuse('another process took it over at the same time', 'try again');
    }
    this.#timer = setInterval(() => this.#giveSign(), SIGN_EVERY_MS).unref();
  }

  /**
   * Before something is written that another process would take for its own.
   * @throws HyperArcError E_BUSY if another process has taken the run over.
   */
  requireHeld(): void {
    if (this.#isHeld() || this.#write()) return; // it writes where somebody removed the file
    this.#refuse(
      `${nameOf(this.#read().holder)}, which took it over`,
      'this process ends here and leaves the run to it',
    );
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#isHeld()) rmSync(this.#path, { force: true });
  }

  #isHeld(): boolean {
    return orNothing(() => readFileSync(this.#path, 'utf8')) === this.#text;
  }

  get #text(): string {
    return `${JSON.stringify(this.#own)}\n`;
  }

  /** Only where there is none. */
  #write(): boolean {
    try {
      writeFileSync(this.#path, this.#text, { flag: 'wx' });
      return true;
    } catch (error) {
      const { code, syscall } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return false;
      if (syscall === 'write') rmSync(this.#path, { force: true }); // made, and without room for what is in it
      throw error;
    }
  }

  /** No holder where the file is damaged, as a power cut may leave it. */
  #read(): { holder: Holder | undefined; signMs: number } {
    const holder = orNothing(() => readFileSync(this.#path, 'utf8'));
    const signMs = statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    return { holder: parse(holder), signMs };
  }

  #requireGone(holder: Holder | undefined, signMs: number): void {
    const who =
      holder === undefined ? 'one that its lock.json does not tell' : `${nameOf(holder)} since ${holder.since}`;
    if (holder?.place === this.#own.place) {
      if (isRunning(holder)) this.#refuse(who, 'stop it (it saves), or let it end');
      return;
    }
    const silentMs = Date.now() - signMs;
    if (silentMs >= LOST_AFTER_MS) return;
    const minutes = LOST_AFTER_MS / 60_000;
    this.#refuse(
      `${who}, whose last sign of life is ${Math.max(0, Math.round(silentMs / 1000))} s old`,
      `stop it, or if it has ended wait until that is ${minutes} minutes old or remove ${this.#path}`,
    );
  }

  #refuse(who: string, fix: string): never {
    throw new HyperArcError(
      'E_BUSY',
      `run: expected ${this.runPath} to be trained by no other process, received ${who}; ${fix}`,
    );
  }

  /** Not in the name of a process that took the run over. */
  #giveSign(): void {
    if (!this.#isHeld()) return;
    const now = new Date();
    try {
      utimesSync(this.#path, now, now);
    } catch {
      // The file system is away for now, or the file is gone: what is written next finds out.
    }
  }
}
