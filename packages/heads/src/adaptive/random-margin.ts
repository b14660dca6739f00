import type { MarginSpec, RandomMarginAdaptation } from '../specs/index.js';
import { normalNumbers } from './random-normal.js';
import { checkFinite, numbersOf } from './norms.js';
import type { AdaptationRuntime } from './runtime.js';
import { readCount, readObject } from './state-fields.js';

interface RandomMarginState {
  /** Batches so far. */
  readonly step: number;
}

/**
 * `margins` so that the sample nearest its centre gets the smallest; ties keep the batch's order.
 * @throws HyperArcError E_NONFINITE.
 */
function byNearness(margins: Float64Array, cosines: readonly number[]): Float64Array {
  checkFinite('embeddings', cosines);
  const ascending = margins.slice().sort();
  const nearestFirst = Array.from(margins, (_, i) => i).sort((a, b) => cosines[b]! - cosines[a]! || a - b);
  const assigned = new Float64Array(margins.length);
  nearestFirst.forEach((sample, rank) => (assigned[sample] = ascending[rank]!));
  return assigned;
}

/**
 * ElasticFace (Boutros et al., CVPR Workshops 2022, eq. 5–8): each sample's margin from N(margin, σ²), held within the parameter's range (with the
 * easy margin at 0 or above);
 * in evaluation the mean. `sorted` is ElasticFace+.
 */
export function randomMargin(
  adaptation: RandomMarginAdaptation,
  spec: MarginSpec,
): AdaptationRuntime<RandomMarginState> {
  const { parameter, stddev, sorted, seed } = adaptation;
  const limit = parameter === 'm2' ? Math.PI / 2 : 1;
  // The easy margin is for m2 ≥ 0.
  const lowest = parameter === 'm2' && spec.fallback === 'easy' ? 0 : -limit;
  return {
    initial: { step: 0 },
    train({ step }, batch) {
      const drawn = normalNumbers(seed, step, batch.labels.length).map((number) => spec[parameter] + stddev * number);
      const margins = drawn.map((margin) => Math.min(Math.max(margin, lowest), limit));
      const assigned = sorted ? byNearness(margins, numbersOf(batch.targetCosines())) : margins;
      return { contribution: { columns: { [parameter]: Float32Array.from(assigned) } }, state: { step: step + 1 } };
    },
    evaluate: () => ({}),
    read: (name, saved) => ({ step: readCount(`${name}.step`, readObject(name, saved)['step']) }),
  };
}
