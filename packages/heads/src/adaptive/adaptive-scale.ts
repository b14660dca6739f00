import type { MarginSpec } from '../specs/index.js';
import { checkFinite, numbersOf } from './norms.js';
import type { AdaptationRuntime } from './runtime.js';
import { readNumber, readObject } from './state-fields.js';

/** What the scale is held within: where cosines are far below 0 the formula gives none. */
const SCALE_RANGE = [1, 1024] as const;

interface ScaleState {
  readonly scale: number;
}

/** ln of the mean of e^v. */
function logMeanExp(values: readonly number[]): number {
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (largest === -Infinity) return -Infinity;
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0) / values.length);
}

/** The middle one, the lower of two (as torch.median). */
function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
}

/**
 * AdaCos (Zhang et al., CVPR 2019, eq. 16–17): s = ln B_avg / cos(min(π/4, median θ_y)), B_avg the batch mean of Σ_{j≠y} e^(s·cosθ_j)
 * with the scale before; the batch uses the new one. No gradient flows through it. Without negatives it stays.
 */
export function adaptiveScale(spec: MarginSpec): AdaptationRuntime<ScaleState> {
  return {
    initial: { scale: spec.scale },
    train({ scale }, batch) {
      const cosines = numbersOf(batch.targetCosines());
      checkFinite('embeddings', cosines);
      const logAverage = logMeanExp(numbersOf(batch.negativeLogSums(scale)));
      const angle = median(cosines.map((cosine) => Math.acos(Math.min(Math.max(cosine, -1), 1))));
      const wanted = logAverage / Math.cos(Math.min(Math.PI / 4, angle));
      const next = logAverage === -Infinity ? scale : Math.min(Math.max(wanted, SCALE_RANGE[0]), SCALE_RANGE[1]);
      return { contribution: { rule: { scale: next } }, state: { scale: next } };
    },
    evaluate: ({ scale }) => ({ rule: { scale } }),
    read: (name, saved) => {
      const { scale } = readObject(name, saved);
      return { scale: readNumber(`${name}.scale`, scale, Math.min(spec.scale, SCALE_RANGE[0]), SCALE_RANGE[1]) };
    },
  };
}
