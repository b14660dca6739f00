import type { StepResult } from './step.js';

/** Sums over the steps since the last line of the log. Saved with a checkpoint, so that a resumed run logs the same means. */
export interface WindowSums {
  steps: number;
  loss: number;
  targetCosine: number;
  gradientNorm: number;
}

/** Means since the last line of the log. */
export class Window {
  #sums: WindowSums;

  constructor(sums: WindowSums = { steps: 0, loss: 0, targetCosine: 0, gradientNorm: 0 }) {
    this.#sums = { ...sums };
  }

  add({ loss, targetCosine, gradientNorm }: StepResult): void {
    this.#sums.steps++;
    this.#sums.loss += loss;
    this.#sums.targetCosine += targetCosine;
    this.#sums.gradientNorm += gradientNorm;
  }

  sums(): WindowSums {
    return { ...this.#sums };
  }

  /** The means, and an empty window after it. */
  take(): StepResult {
    const { steps, loss, targetCosine, gradientNorm } = this.#sums;
    this.#sums = { steps: 0, loss: 0, targetCosine: 0, gradientNorm: 0 };
    return { loss: loss / steps, targetCosine: targetCosine / steps, gradientNorm: gradientNorm / steps };
  }
}
