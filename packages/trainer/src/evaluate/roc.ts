import { HyperArcError } from '@hyperarc/kernels-cuda';

/**
 * Receiver operating characteristic over all pairs. Point i accepts every pair whose similarity is ≥ `thresholds[i]`. Starts at (0, 0) with
 * threshold +∞ and ends at (1, 1); pairs of equal similarity enter together, so a tie is one slanted segment and never depends on input order.
 */
export interface RocCurve {
  /** Cosine similarity, descending. */
  thresholds: number[];
  /** False accept rate: accepted share of the different pairs, ascending. */
  far: number[];
  /** True accept rate: accepted share of the same pairs, ascending. */
  tar: number[];
}

/** TAR at the most permissive threshold whose FAR does not exceed `far` (the strict rule: never interpolated). */
export interface TarAtFar {
  /** The FAR asked for. */
  far: number;
  /** null when there are too few different pairs to measure this FAR: see `note`. */
  tar: number | null;
  /** Similarity threshold; null as above. */
  threshold: number | null;
  /** The FAR at that threshold, ≤ `far`; null as above. */
  measuredFar: number | null;
  /** Why there is no figure. */
  note?: string;
}

/** Throws unless there is one finite similarity a label, and pairs of both kinds. */
export function checkScores(similarities: ArrayLike<number>, same: readonly boolean[]): void {
  if (similarities.length !== same.length) {
    throw new HyperArcError(
      'E_SHAPE',
      `same: expected one boolean for each of the ${similarities.length} similarities, received ${same.length}`,
    );
  }
  for (let i = 0; i < similarities.length; i++) {
    if (!Number.isFinite(similarities[i])) {
      throw new HyperArcError(
        'E_NONFINITE',
        `similarities[${i}]: expected a finite number, received ${similarities[i]}; look for NaN in the embeddings`,
      );
    }
  }
  const sameCount = same.filter(Boolean).length;
  if (sameCount === 0 || sameCount === same.length) {
    throw new HyperArcError(
      'E_RANGE',
      `pairs: expected pairs of both kinds, received ${sameCount} same and ${same.length - sameCount} different; ` +
        'verification needs at least one of each',
    );
  }
}

/** @throws HyperArcError E_RANGE unless 0 < far ≤ 1 */
export function checkFar(name: string, far: number): void {
  if (!(far > 0 && far <= 1)) {
    throw new HyperArcError('E_RANGE', `${name}: expected a number in (0, 1], received ${far}`);
  }
}

/**
 * @param similarities [N] finite scores, larger meaning more alike
 * @param same [N] true where the pair shows one identity
 * @throws HyperArcError E_SHAPE, E_NONFINITE, E_RANGE (one kind of pair only)
 */
export function rocCurve(similarities: ArrayLike<number>, same: readonly boolean[]): RocCurve {
  checkScores(similarities, same);
  const order = Array.from(same.keys()).sort((i, j) => similarities[j]! - similarities[i]!);
  const sameCount = same.filter(Boolean).length;
  const differentCount = same.length - sameCount;
  const curve: RocCurve = { thresholds: [Infinity], far: [0], tar: [0] };
  let trueAccepts = 0;
  let falseAccepts = 0;
  for (let k = 0; k < order.length; k++) {
    const pair = order[k]!;
    if (same[pair]) trueAccepts++;
    else falseAccepts++;
    const next = order[k + 1];
    if (next !== undefined && similarities[next] === similarities[pair]) continue;
    curve.thresholds.push(similarities[pair]!);
    curve.far.push(falseAccepts / differentCount);
    curve.tar.push(trueAccepts / sameCount);
  }
  return curve;
}

/** Area under the curve by the trapezoid rule: P(same > different) + ½·P(equal), the Mann–Whitney statistic. */
export function areaUnderCurve(curve: RocCurve): number {
  let area = 0;
  for (let i = 1; i < curve.far.length; i++) {
    area += ((curve.far[i]! - curve.far[i - 1]!) * (curve.tar[i]! + curve.tar[i - 1]!)) / 2;
  }
  return area;
}

/** Equal error rate: FAR where FAR = 1 − TAR, on the straight line between the two points around it. */
export function equalErrorRate(curve: RocCurve): number {
  const gap = (i: number) => curve.far[i]! - (1 - curve.tar[i]!);
  let i = 1;
  while (gap(i) < 0) i++;
  const share = gap(i - 1) / (gap(i - 1) - gap(i));
  return curve.far[i - 1]! + share * (curve.far[i]! - curve.far[i - 1]!);
}

/** @param far in (0, 1]; below 1 / (number of different pairs) nothing can be measured and the answer says so */
export function tarAtFar(curve: RocCurve, far: number, differentCount: number): TarAtFar {
  checkFar('far', far);
  const needed = Math.ceil(1 / far - 1e-9);
  if (differentCount < needed) {
    const note = `needs at least ${needed} different pairs, has ${differentCount}`;
    return { far, tar: null, threshold: null, measuredFar: null, note };
  }
  let i = 0;
  // The slack keeps e.g. 3/300 from missing 0.01 by a rounding.
  while (i + 1 < curve.far.length && curve.far[i + 1]! <= far * (1 + 1e-12)) i++;
  // With no acceptable point but the first, the threshold is just above the best score, and JSON has no infinity.
  const threshold = Number.isFinite(curve.thresholds[i]!) ? curve.thresholds[i]! : null;
  return { far, tar: curve.tar[i]!, threshold, measuredFar: curve.far[i]! };
}

/**
 * The curve with at most about `maxPoints` points, for files and plots: keeps both ends and, on each step of a grid that is even in log10(FAR)
 * above one different pair, the last point (highest TAR) of the step.
 */
export function thinCurve(curve: RocCurve, maxPoints: number): RocCurve {
  const n = curve.far.length;
  if (n <= maxPoints) return curve;
  const lowest = Math.log10(curve.far.find((f) => f > 0)!);
  const cell = (i: number) => {
    const far = curve.far[i]!;
    return far === 0 ? -1 : Math.floor(((Math.log10(far) - lowest) / -lowest) * (maxPoints - 2));
  };
  const keep = [0];
  for (let i = 1; i < n; i++) {
    if (i === n - 1 || cell(i) !== cell(i + 1)) keep.push(i);
  }
  return {
    thresholds: keep.map((i) => curve.thresholds[i]!),
    far: keep.map((i) => curve.far[i]!),
    tar: keep.map((i) => curve.tar[i]!),
  };
}
