import type { CurriculumAdaptation } from '../specs/index.js';
import { curricularNegatives } from '../specs/negative-rules.js';
import { checkFinite, numbersOf } from './norms.js';
import type { AdaptationRuntime } from './runtime.js';
import { readNumber, readObject } from './state-fields.js';

interface CurriculumState {
  readonly t: number;
}

/**
 * CurricularFace (Huang et al., CVPR 2020, eq. 5–8): t takes the batch's mean target cosine in before the batch uses it, without a
 * gradient; hard negatives become c·(t + c).
 */
export function curriculum({ momentum }: CurriculumAdaptation): AdaptationRuntime<CurriculumState> {
  return {
    initial: { t: 0 },
    train({ t }, batch) {
      const cosines = numbersOf(batch.targetCosines());
      checkFinite('embeddings', cosines);
      const mean = cosines.reduce((sum, cosine) => sum + cosine, 0) / cosines.length;
      const next = momentum * mean + (1 - momentum) * t;
      return { contribution: { rule: { negatives: curricularNegatives(next) } }, state: { t: next } };
    },
    evaluate: ({ t }) => ({ rule: { negatives: curricularNegatives(t) } }),
    // A cosine of fp32 vectors may pass 1 by a rounding.
    read: (name, saved) => ({ t: readNumber(`${name}.t`, readObject(name, saved)['t'], -1.001, 1.001) }),
  };
}
