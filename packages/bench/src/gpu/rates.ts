import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { pythonCommand } from '../child.js';
import type { Rates } from './counts.js';
import { peersFolder } from './runner.js';

/** Rates of the GPU by peers/gpu_rates.py, or why they could not be measured. */
export function measureRates(device: string): Rates | string {
  try {
    const said = execFileSync(pythonCommand(), [join(peersFolder(), 'gpu_rates.py'), device], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 120_000,
      killSignal: 'SIGKILL',
    });
    const answer = JSON.parse(said) as Rates | { skip: string };
    return 'skip' in answer ? answer.skip : answer;
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: string };
    return (stderr || message).trim().split('\n').at(-1)!;
  }
}
