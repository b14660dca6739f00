import type { AnnealingAdaptation } from '../specs/index.js';
import type { AdaptationRuntime, Contribution } from './runtime.js';
import { readCount, readObject } from './state-fields.js';

interface AnnealingState {
  /** Batches so far. */
  readonly step: number;
}

/**
 * SphereFace's λ (Liu et al., "Large-Margin Softmax", ICML 2016, §5): the target is (A(θ) + λ·cosθ)/(1 + λ), λ = max(minimum,
 * base·(1 + gamma·t)^(−power)), t = 1 for the first batch. Evaluation has the λ of the last batch.
 */
export function annealing({ base, gamma, power, minimum }: AnnealingAdaptation): AdaptationRuntime<AnnealingState> {
  const at = (t: number): Contribution => {
    const lambda = Math.max(minimum, base * (1 + gamma * t) ** -power);
    return { rule: { blend: 1 / (1 + lambda) } };
  };
  return {
    initial: { step: 0 },
    train: ({ step }) => ({ contribution: at(step + 1), state: { step: step + 1 } }),
    evaluate: ({ step }) => at(step),
    read: (name, saved) => ({ step: readCount(`${name}.step`, readObject(name, saved)['step']) }),
  };
}
