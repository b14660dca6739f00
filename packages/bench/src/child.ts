import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { Case } from './cases.js';
import type { Done, Ready, Samples, Skip } from './protocol.js';

const PEERS = join(import.meta.dirname, '..', 'peers');
const SCRIPTS: Readonly<Partial<Record<Case['program'], string>>> = {
  pytorch: join(PEERS, 'pytorch_partial_fc.py'),
  sgemm: join(PEERS, 'openblas_sgemm.py'),
};

/** The Python that peers run on. */
export const pythonCommand = (): string => process.env['HYPERARC_PYTHON'] ?? 'python3';

/** Command of a case's child process, to which its specification is added. */
export function programCommand(program: Case['program']): string[] {
  const script = SCRIPTS[program];
  return script ? [pythonCommand(), script] : [process.execPath, join(import.meta.dirname, 'programs', 'main.js')];
}

/** A case's child process, which speaks the protocol of protocol.ts; `S` and `D` are its samples and its last answer. */
export class CaseProcess<S = Samples, D = Done> {
  readonly #replies: AsyncIterator<string>;
  readonly #child: ChildProcess;
  #errors = '';
  #ended: Promise<number | string | null>;

  constructor([command, ...args]: readonly string[], spec: object) {
    this.#child = spawn(command!, [...args, JSON.stringify(spec)], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(error.message));
      this.#child.on('close', resolve);
    });
    this.#child
      .stderr!.setEncoding('utf8')
      .on('data', (text: string) => (this.#errors = (this.#errors + text).slice(-4000)));
    // A child that died is told by `ended`; writing to it must not end this process.
    this.#child.stdin!.on('error', () => undefined);
    this.#replies = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** The first answer. A command that does not exist is a reason to skip. */
  async start(): Promise<Ready | Skip> {
    const first = await this.#next();
    if (first !== undefined) return first as Ready | Skip;
    const end = await this.#ended;
    if (typeof end === 'string') return { kind: 'skip', reason: end };
    throw this.#failure(end);
  }

  async measure(iterations: number): Promise<S> {
    this.#child.stdin!.write(`${JSON.stringify({ iterations })}\n`);
    return (await this.#expect()) as S;
  }

  async finish(): Promise<D> {
    this.#child.stdin!.end();
    const done = (await this.#expect()) as D;
    await this.#ended;
    return done;
  }

  kill(signal?: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#replies.next();
    return done === true ? undefined : JSON.parse(value);
  }

  async #expect(): Promise<unknown> {
    const reply = await this.#next();
    if (reply === undefined) throw this.#failure(await this.#ended);
    return reply;
  }

  #failure(end: number | string | null): Error {
    return new Error(`child process ended with ${end === null ? 'a signal' : `code ${end}`}\n${this.#errors.trim()}`);
  }
}
