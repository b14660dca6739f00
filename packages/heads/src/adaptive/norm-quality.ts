import type { NormQualityAdaptation } from '../specs/index.js';
import { readNorms } from './norms.js';
import type { AdaptationRuntime, Contribution } from './runtime.js';
import { readNumber, readObject } from './state-fields.js';

/** Norms are clipped to this range before anything is made of them. */
const NORM_RANGE = [1e-3, 100] as const;
/** Added to σ. */
const EPSILON = 1e-3;

interface QualityState {
  /** Running μ and σ of the clipped norms. */
  readonly mean: number;
  readonly stddev: number;
}

function clippedNorms(norms: Float32Array): Float64Array {
  return Float64Array.from(norms, (norm) => Math.min(Math.max(norm, NORM_RANGE[0]), NORM_RANGE[1]));
}

/**
 * AdaFace (Kim et al., CVPR 2022, eq. 11–14): m2 = −m·k and m3 = m + m·k, k the quality of each sample by its norm. μ and σ take
 * the batch in before it uses them; σ of a batch is the unbiased one, so a batch of one sample leaves it as it was. No
 * gradient flows through k.
 */
export function normQuality(adaptation: NormQualityAdaptation): AdaptationRuntime<QualityState> {
  const { margin, concentration, momentum, initialMean, initialStddev } = adaptation;

  const contribute = (norms: Float64Array, { mean, stddev }: QualityState): Contribution => {
    const quality = norms.map((norm) => {
      const k = (concentration * (norm - mean)) / (stddev + EPSILON);
      return Math.min(Math.max(k, -1), 1);
    });
    return {
      columns: {
        m2: Float32Array.from(quality, (k) => -margin * k),
        m3: Float32Array.from(quality, (k) => margin + margin * k),
      },
    };
  };

  const after = (norms: Float64Array, { mean, stddev }: QualityState): QualityState => {
    const count = norms.length;
    const batchMean = norms.reduce((sum, norm) => sum + norm, 0) / count;
    const next = momentum * batchMean + (1 - momentum) * mean;
    if (count === 1) return { mean: next, stddev };
    const squares = norms.reduce((sum, norm) => sum + (norm - batchMean) ** 2, 0);
    return { mean: next, stddev: momentum * Math.sqrt(squares / (count - 1)) + (1 - momentum) * stddev };
  };

  return {
    initial: { mean: initialMean, stddev: initialStddev },
    train(state, batch) {
      const norms = clippedNorms(readNorms(batch));
      const next = after(norms, state);
      return { contribution: contribute(norms, next), state: next };
    },
    evaluate: (state, batch) => contribute(clippedNorms(readNorms(batch)), state),
    read(name, saved) {
      const { mean, stddev } = readObject(name, saved);
      return {
        mean: readNumber(`${name}.mean`, mean, 0, 1e6),
        stddev: readNumber(`${name}.stddev`, stddev, 0, 1e6),
      };
    },
  };
}
