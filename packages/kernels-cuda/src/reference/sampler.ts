import { philox4x32, words } from './philox.js';

export interface SampleRequest {
  /** C of the shard. */
  readonly classes: number;
  readonly firstClass: number;
  /** Global labels of the batch. */
  readonly labels: ArrayLike<number>;
  /** Share of the shard's classes to draw, in (0, 1]. */
  readonly rate: number;
  readonly seed: bigint;
  readonly step: bigint;
  readonly shard: number;
}

/** The 32-bit random key of local class j. */
export function classKey(j: number, request: Pick<SampleRequest, 'seed' | 'step' | 'shard'>): number {
  const [stepLow, stepHigh] = words(request.step);
  return philox4x32([Math.floor(j / 4), request.shard, stepLow, stepHigh], words(request.seed))[j % 4];
}

/**
 * Partial FC's sample (An et al., "Partial FC", 2021; "Killing two birds with one stone", CVPR 2022): every positive, and
 * the negatives with the smallest random keys up to round(rate·C) classes. Sorted local class indices.
 */
export function sampleClasses(request: SampleRequest): Int32Array {
  const { classes, firstClass, labels, rate } = request;
  const owned = Array.from(labels, (label) => label - firstClass).filter((local) => local >= 0 && local < classes);
  const positives = new Set(owned);
  const count = Math.min(classes, Math.max(positives.size, Math.floor(rate * classes + 0.5), 1));
  const drawn = Array.from({ length: classes }, (_, j) => ({ j, key: classKey(j, request) }))
    .filter(({ j }) => !positives.has(j))
    .sort((a, b) => a.key - b.key || a.j - b.j)
    .slice(0, count - positives.size)
    .map(({ j }) => j);
  return Int32Array.from([...positives, ...drawn].sort((a, b) => a - b));
}
