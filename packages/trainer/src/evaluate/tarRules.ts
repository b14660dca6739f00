import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { checkFar } from './roc.js';

/**
 * How TAR is read off at a FAR. `nearest`: at the point of the curve nearest to it, above or below, as the published IJB figures are;
 * `strict`: at the largest FAR that does not exceed it.
 */
export type TarRule = 'nearest' | 'strict';

/** One figure: a pair is accepted when its score is at least `threshold`. */
export interface TarFigure {
  /** The FAR asked for. */
  far: number;
  /** Accepted share of the genuine scores; by the strict rule null when there are too few impostor scores: see `note`. */
  tar: number | null;
  /** The FAR at the threshold; null as above. */
  measuredFar: number | null;
  /** null as above, and where no score is accepted. */
  threshold: number | null;
  /** Says that there are too few impostor scores to measure this FAR. */
  note?: string;
}

/** The note where fewer than 1/far impostor scores cannot tell such a FAR from 0. */
function tooFew(far: number, total: number): string | undefined {
  const needed = Math.ceil(1 / far - 1e-9);
  return total < needed ? `needs at least ${needed} impostor scores, has ${total}` : undefined;
}

/** Scores of one kind, in descending order. */
export type SortedScores = Float64Array | Float32Array;

/** Sorts in place. @throws HyperArcError E_NONFINITE, E_RANGE for none. */
export function sortScores<T extends SortedScores>(name: string, scores: T): T {
  if (scores.length === 0) throw new HyperArcError('E_RANGE', `${name}: expected at least one score, received none`);
  for (let i = 0; i < scores.length; i++) {
    if (!Number.isFinite(scores[i]))
      throw new HyperArcError('E_NONFINITE', `${name}[${i}]: expected a finite number, received ${scores[i]}`);
  }
  return scores.sort().reverse() as T;
}

/** How many of the descending `scores` are at least `threshold`, or with `above` greater. */
export function countFrom(scores: SortedScores, threshold: number, above = false): number {
  let [low, high] = [0, scores.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const score = scores[middle]!;
    if (above ? score > threshold : score >= threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * TAR at the largest FAR ≤ each of `fars`. Of the impostors only the largest scores are looked at: ⌊total·far⌋ + 1 of them are enough.
 * @param genuine descending
 * @param impostor descending, the largest of `total`
 */
export function strictTar(
  genuine: SortedScores,
  impostor: SortedScores,
  fars: readonly number[],
  total = impostor.length,
): TarFigure[] {
  return fars.map((far) => {
    checkFar('fars', far);
    // The slack keeps e.g. 300·0.01 from being 2.
    const allowed = Math.floor(total * far * (1 + 1e-12));
    const note = tooFew(far, total);
    if (note !== undefined) return { far, tar: null, measuredFar: null, threshold: null, note };
    // The score that would be one too many: only what is above it is accepted.
    const refused = allowed < total ? impostor[allowed]! : -Infinity;
    const accepted = countFrom(impostor, refused, true);
    const genuineAccepted = countFrom(genuine, refused, true);
    const least = [impostor[accepted - 1], genuine[genuineAccepted - 1]].filter((score) => score !== undefined);
    const threshold = least.length === 0 ? null : Math.min(...least);
    return { far, tar: genuineAccepted / genuine.length, measuredFar: accepted / total, threshold };
  });
}

/** A point of the curve: impostors and genuine ones accepted at `threshold`. */
type Visit = (falseAccepts: number, trueAccepts: number, threshold: number) => void;

/** Visits (0, 0) and then every different score, descending: scores of the same value enter together. */
function walkCurve(genuine: SortedScores, impostor: SortedScores, visit: Visit): void {
  visit(0, 0, Infinity);
  let [i, j] = [0, 0];
  while (i < genuine.length || j < impostor.length) {
    const threshold = Math.max(genuine[i] ?? -Infinity, impostor[j] ?? -Infinity);
    while (i < genuine.length && genuine[i] === threshold) i++;
    while (j < impostor.length && impostor[j] === threshold) j++;
    visit(j, i, threshold);
  }
}

/**
 * Visits the points that scikit-learn's `roc_curve` keeps, which the published figures are read from: its `drop_intermediate` leaves out a point
 * where the step to the next is that from the one before.
 */
function walkKept(genuine: SortedScores, impostor: SortedScores, visit: Visit): void {
  let held: [number, number, number] | undefined;
  let [stepFalse, stepTrue] = [NaN, NaN];
  walkCurve(genuine, impostor, (falseAccepts, trueAccepts, threshold) => {
    if (threshold === Infinity) return visit(0, 0, Infinity);
    if (held !== undefined) {
      const [nextFalse, nextTrue] = [falseAccepts - held[0], trueAccepts - held[1]];
      // The first point's step before is NaN, so it is kept.
      if (nextFalse !== stepFalse || nextTrue !== stepTrue) visit(...held);
      [stepFalse, stepTrue] = [nextFalse, nextTrue];
    }
    held = [falseAccepts, trueAccepts, threshold];
  });
  if (held !== undefined) visit(...held);
}

/**
 * TAR at the point whose FAR is nearest to each of `fars`, as InsightFace's IJB evaluation reads its tables: among scikit-learn's points; of equally
 * near ones the larger FAR, of the same FAR the larger TAR.
 * @param genuine descending
 * @param impostor descending, all of them
 */
export function nearestTar(genuine: SortedScores, impostor: SortedScores, fars: readonly number[]): TarFigure[] {
  for (const far of fars) checkFar('fars', far);
  const best = fars.map(() => ({ gap: Infinity, falseAccepts: 0, trueAccepts: 0, threshold: Infinity }));
  walkKept(genuine, impostor, (falseAccepts, trueAccepts, threshold) => {
    for (let f = 0; f < fars.length; f++) {
      const gap = Math.abs(falseAccepts / impostor.length - fars[f]!);
      if (gap <= best[f]!.gap) best[f] = { gap, falseAccepts, trueAccepts, threshold };
    }
  });
  return best.map(({ falseAccepts, trueAccepts, threshold }, f) => {
    const note = tooFew(fars[f]!, impostor.length);
    return {
      far: fars[f]!,
      tar: trueAccepts / genuine.length,
      measuredFar: falseAccepts / impostor.length,
      threshold: Number.isFinite(threshold) ? threshold : null,
      ...(note !== undefined && { note }),
    };
  });
}

/** Area under the curve by the trapezoid rule: P(genuine > impostor) + ½·P(equal). */
export function scoreAuc(genuine: SortedScores, impostor: SortedScores): number {
  let area = 0;
  let [lastFalse, lastTrue] = [0, 0];
  walkCurve(genuine, impostor, (falseAccepts, trueAccepts) => {
    area += ((falseAccepts - lastFalse) * (trueAccepts + lastTrue)) / 2;
    [lastFalse, lastTrue] = [falseAccepts, trueAccepts];
  });
  return area / (genuine.length * impostor.length);
}
