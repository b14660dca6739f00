import type { ImagePair } from '../pairs.js';
import { areaUnderCurve, rocCurve } from '../roc.js';
import { ratesAt } from '../threshold.js';

/** Degrees. */
export const YAW_EDGES = [0, 15, 30, 45, 60, 90] as const;

/** Pairs whose larger |yaw| is in [from, to). */
export interface YawBin {
  /** Degrees. */
  readonly from: number;
  readonly to: number;
  readonly samePairs: number;
  readonly differentPairs: number;
  /** null unless the bin has pairs of both kinds. */
  readonly auc: number | null;
  /** At the threshold of all clean pairs; null as above, or without a threshold. */
  readonly atCleanThreshold: { readonly fmr: number; readonly fnmr: number } | null;
}

/** Sorts pairs by pose; those with an unknown yaw, or of 90° and more, are in no bin. Empty bins are left out. */
export function yawBins(
  pairs: readonly ImagePair[],
  similarities: ArrayLike<number>,
  yawOf: (path: string) => number | undefined,
  threshold: number | null,
): YawBin[] {
  const larger = pairs.map(({ a, b }) => Math.max(Math.abs(yawOf(a) ?? NaN), Math.abs(yawOf(b) ?? NaN)));
  return YAW_EDGES.slice(1).flatMap((to, bin) => {
    const from = YAW_EDGES[bin]!;
    const inside = [...pairs.keys()].filter((i) => larger[i]! >= from && larger[i]! < to);
    if (inside.length === 0) return [];
    const same = inside.map((i) => pairs[i]!.same);
    const scores = inside.map((i) => similarities[i]!);
    const samePairs = same.filter(Boolean).length;
    const both = samePairs > 0 && samePairs < same.length;
    return [
      {
        from,
        to,
        samePairs,
        differentPairs: same.length - samePairs,
        auc: both ? areaUnderCurve(rocCurve(scores, same)) : null,
        atCleanThreshold: both && threshold !== null ? ratesAt(scores, same, threshold) : null,
      },
    ];
  });
}
