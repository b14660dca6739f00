import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { Case } from './cases.js';
import type { Done, ProgramSpec, Ready, Reply, Samples, Skip } from './protocol.js';

const PEERS = join(import.meta.dirname, '..', 'peers');
const SCRIPTS: Readonly<Partial<Record<Case['program'], string>>> = {
  pytorch: join(PEERS, 'pytorch_partial_fc.py'),
  sgemm: join(PEERS, 'openblas_sgemm.py'),
};

/** The Python that peers run on. */
export const pythonCommand = (): string => process.env['HYPERARC_PYTHON'] ?? 'python3';

/** A case's child process. */
export class CaseProcess {
  readonly #replies: AsyncIterator<string>;
  readonly #child: ChildProcess;
  #errors = '';
  #ended: Promise<number | string | null>;

  constructor(program: Case['program'], spec: ProgramSpec) {
    const script = SCRIPTS[program];
    const [command, args] = script
      ? [pythonCommand(), [script]]
      : [process.execPath, [join(import.meta.dirname, 'programs', 'main.js')]];
    this.#child = spawn(command, [...args, JSON.stringify(spec)], { stdio: ['pipe', 'pipe', 'pipe'] });
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

  async measure(iterations: number): Promise<Samples> {
    this.#child.stdin!.write(`${JSON.stringify({ iterations })}\n`);
    return (await this.#expect()) as Samples;
  }

  async finish(): Promise<Done> {
    this.#child.stdin!.end();
    const done = (await this.#expect()) as Done;
    await this.#ended;
    return done;
  }

  kill(): void {
    this.#child.kill();
  }

  async #next(): Promise<Reply | undefined> {
    const { value, done } = await this.#replies.next();
    return done === true ? undefined : (JSON.parse(value) as Reply);
  }

  async #expect(): Promise<Reply> {
    const reply = await this.#next();
    if (reply === undefined) throw this.#failure(await this.#ended);
    return reply;
  }

  #failure(end: number | string | null): Error {
    return new Error(`child process ended with ${end === null ? 'a signal' : `code ${end}`}\n${this.#errors.trim()}`);
  }
}
