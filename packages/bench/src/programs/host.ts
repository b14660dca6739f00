import { createInterface } from 'node:readline';

import { processBytes } from '../measure.js';
import type { ProgramName } from '../cases.js';
import type { ProgramSpec, Reply } from '../protocol.js';
import { SkipCase, type Program, type ProgramFactory } from './program.js';

/** Each program is loaded only in its own child, so that a case's memory is its own. */
const PROGRAMS: Readonly<Partial<Record<ProgramName, () => Promise<ProgramFactory>>>> = {
  engine: async () => (await import('./engine.js')).engine,
  'tfjs-naive': async () => (await import('./tfjs-naive.js')).tfjsNaive,
  calls: async () => (await import('./calls.js')).calls,
};

/** Runs a program in this process by the protocol of ../protocol.ts. */
export async function hostProgram(spec: ProgramSpec): Promise<void> {
  const reply = (message: Reply) => void process.stdout.write(`${JSON.stringify(message)}\n`);
  let program: Program;
  try {
    program = await (await PROGRAMS[spec.program]!())(spec);
  } catch (error) {
    if (!(error instanceof SkipCase)) throw error;
    reply({ kind: 'skip', reason: error.message });
    return;
  }
  reply({ kind: 'ready', ...program.ready });
  for await (const line of createInterface({ input: process.stdin })) {
    const { iterations } = JSON.parse(line) as { iterations: number };
    reply({ kind: 'samples', ...(await program.measure(iterations)) });
  }
  reply({ kind: 'done', peakBytes: processBytes('VmHWM'), facts: program.finish() });
}
