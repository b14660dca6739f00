import { rocCurve, tarAtFar } from './roc.js';

/** A similarity threshold, or why there is none. */
export type ThresholdAtFmr = { readonly threshold: number } | { readonly note: string };

/**
 * The most permissive threshold whose FMR over all different pairs does not exceed `fmr`. Where even the most similar pair is
 * a false match, just above its similarity.
 */
export function thresholdAtFmr(similarities: ArrayLike<number>, same: readonly boolean[], fmr: number): ThresholdAtFmr {
  const differentPairs = same.filter((value) => !value).length;
  const { tar, threshold, note } = tarAtFar(rocCurve(similarities, same), fmr, differentPairs);
  if (tar === null) return { note: note ?? 'too few different pairs' };
  if (threshold !== null) return { threshold };
  let best = -1;
  for (let i = 0; i < similarities.length; i++) best = Math.max(best, similarities[i]!);
  return { threshold: best + Number.EPSILON };
}

/** Shares of wrong answers at a threshold: of the different and of the same pairs. */
export function ratesAt(
  similarities: ArrayLike<number>,
  same: readonly boolean[],
  threshold: number,
): { fmr: number; fnmr: number } {
  const wrong = { fmr: 0, fnmr: 0 };
  same.forEach((isSame, i) => {
    if (similarities[i]! >= threshold !== isSame) wrong[isSame ? 'fnmr' : 'fmr']++;
  });
  const sameCount = same.filter(Boolean).length;
  return { fmr: wrong.fmr / (same.length - sameCount), fnmr: wrong.fnmr / sameCount };
}
