import { timeOnce } from '../measure.js';
import type { ProgramSpec, Ready, Samples } from '../protocol.js';

/** A prepared case inside its child process. */
export interface Program {
  ready: Omit<Ready, 'kind'>;
  measure(iterations: number): Omit<Samples, 'kind'> | Promise<Omit<Samples, 'kind'>>;
  /** Facts known only at the end. Throws if the program computed nonsense. */
  finish(): Record<string, string | number>;
}

/**
 * The update of every program. The learning rate is small, so that a few batches seen again and again are not learnt by heart: then losses and
 * probabilities would sink to subnormal numbers, which some programs multiply much slower than others.
 */
export const SGD = { learningRate: 1e-5, momentum: 0.9, weightDecay: 5e-4 } as const;

/** Thrown while preparing when the case cannot run here, with the reason for the table. */
export class SkipCase extends Error {}

export type ProgramFactory = (spec: ProgramSpec) => Program | Promise<Program>;

/** `measure` of a program whose iteration is `step`, timed one by one. */
export function measureSteps(step: () => void | Promise<void>): Program['measure'] {
  return async (iterations) => {
    const samples = { elapsedMs: [] as number[], cpuMs: [] as number[] };
    for (let i = 0; i < iterations; i++) {
      const { elapsedMs, cpuMs } = await timeOnce(step);
      samples.elapsedMs.push(elapsedMs);
      samples.cpuMs.push(cpuMs);
    }
    return samples;
  };
}

/** Throws unless `loss` is what a head can give: finite and not negative. */
export function checkLoss(loss: number): void {
  if (!(Number.isFinite(loss) && loss >= 0)) throw new Error(`loss: expected a finite number ≥ 0, received ${loss}`);
}
