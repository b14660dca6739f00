import { HyperArcError } from '@hyperarc/kernels-cuda';
import { checkFolds, contiguousFolds } from '../data/folds.js';
import {
  areaUnderCurve,
  checkFar,
  checkScores,
  equalErrorRate,
  rocCurve,
  tarAtFar,
  type RocCurve,
  type TarAtFar,
} from './roc.js';

export { contiguousFolds };

/** What the k-fold protocol found in one fold, with a threshold chosen on the others. */
export interface FoldResult {
  fold: number;
  pairs: number;
  /** Share of the fold's pairs judged rightly. */
  accuracy: number;
  /** Squared distance below which a pair is accepted, best on the other folds (the lowest of equals). */
  thresholdSquaredDistance: number;
}

/** VAL@FAR: true accept rate at a threshold set on the other folds for the FAR asked for; mean over folds. */
export interface ValAtFar {
  farTarget: number;
  mean: number;
  std: number;
  /** Mean of the FAR that the folds really had. */
  farMean: number;
}

export interface Verification {
  pairs: number;
  samePairs: number;
  differentPairs: number;
  /** Population standard deviation over folds (as numpy.std). */
  accuracy: { mean: number; std: number; folds: FoldResult[] };
  val: ValAtFar;
  tarAtFar: TarAtFar[];
  auc: number;
  eer: number;
  roc: RocCurve;
}

export interface VerifyOptions {
  /** FARs at which TAR is read off the curve. Default 1e-1, 1e-2, 1e-3, 1e-4. */
  fars?: readonly number[];
  /** FAR of the VAL figure. Default 1e-3. */
  valFar?: number;
}

/** Squared distances of the protocol: 0 ≤ t < 4. */
const MAX_SQUARED_DISTANCE = 4;
const ACCURACY_STEP = 0.01;
const VAL_STEP = 0.001;

/** Squared distances of one fold's pairs, ascending. */
interface FoldDistances {
  same: Float64Array;
  different: Float64Array;
}

/**
 * Pair verification by the LFW protocol, as InsightFace's `verification.py` computes it: a pair is accepted when the squared distance of its unit
 * embeddings, 2 − 2·similarity, is below a threshold; thresholds 0, 0.01 … 3.99; the best on the other folds judges each fold. VAL@FAR takes its
 * threshold from the other folds by straight lines between the points (FAR, threshold) of a grid of step 0.001 (where points have exactly the FAR:
 * the highest of their thresholds, as SciPy's `slinear` answers), or 0 if they never reach it. Beside it, over all pairs at once: ROC, AUC, EER,
 * TAR@FAR.
 *
 * @param similarities [N] cosine similarities in [−1, 1]
 * @param same [N] true where the pair shows one identity
 * @param folds [N] fold of each pair (any integers, at least two different); default ten unshuffled folds
 * @throws HyperArcError E_SHAPE, E_NONFINITE, E_RANGE (similarity out of range; a fold, or the whole, with one kind of pair only)
 */
export function verify(
  similarities: ArrayLike<number>,
  same: readonly boolean[],
  folds: readonly number[] = contiguousFolds(same.length),
  options: VerifyOptions = {},
): Verification {
  checkScores(similarities, same);
  const valFar = options.valFar ?? 1e-3;
  checkFar('valFar', valFar);
  const foldNames = checkFolds(same, folds);
  const squaredDistances = Float64Array.from(similarities, (similarity, i) => {
    if (Math.abs(similarity) > 1 + 1e-5) {
      throw new HyperArcError('E_RANGE', `similarities[${i}]: expected a cosine in [-1, 1], received ${similarity}`);
    }
    return Math.max(0, 2 - 2 * similarity);
  });
  const distances = foldNames.map((name): FoldDistances => {
    const ofKind = (kind: boolean) => squaredDistances.filter((_, i) => folds[i] === name && same[i] === kind).sort();
    return { same: ofKind(true), different: ofKind(false) };
  });

  const differentPairs = same.filter((s) => !s).length;
  const roc = rocCurve(similarities, same);
  return {
    pairs: same.length,
    samePairs: same.length - differentPairs,
    differentPairs,
    accuracy: foldAccuracy(distances, foldNames),
    val: valAtFar(distances, valFar),
    tarAtFar: (options.fars ?? [1e-1, 1e-2, 1e-3, 1e-4]).map((far) => tarAtFar(roc, far, differentPairs)),
    auc: areaUnderCurve(roc),
    eer: equalErrorRate(roc),
    roc,
  };
}

/** How many of the ascending `sorted` are below each threshold t·step of the grid [0, 4). */
function countsBelow(sorted: Float64Array, step: number): Int32Array {
  const counts = new Int32Array(Math.round(MAX_SQUARED_DISTANCE / step));
  let reached = 0;
  for (let t = 0; t < counts.length; t++) {
    while (reached < sorted.length && sorted[reached]! < t * step) reached++;
    counts[t] = reached;
  }
  return counts;
}

const countBelow = (values: Float64Array, threshold: number): number => values.filter((v) => v < threshold).length;

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const mean = (values: readonly number[]): number => sum(values) / values.length;

/** Population standard deviation. */
const deviation = (values: readonly number[]): number => {
  const center = mean(values);
  return Math.sqrt(mean(values.map((v) => (v - center) ** 2)));
};

function foldAccuracy(distances: readonly FoldDistances[], names: readonly number[]): Verification['accuracy'] {
  const correct = distances.map(({ same, different }) => {
    const differentBelow = countsBelow(different, ACCURACY_STEP);
    return countsBelow(same, ACCURACY_STEP).map((sameBelow, t) => sameBelow + different.length - differentBelow[t]!);
  });
  const folds = distances.map(({ same, different }, f): FoldResult => {
    const train = correct.filter((_, g) => g !== f);
    let best = 0;
    let bestCorrect = -1;
    for (let t = 0; t < correct[f]!.length; t++) {
      const trainCorrect = sum(train.map((counts) => counts[t]!));
      if (trainCorrect > bestCorrect) {
        best = t;
        bestCorrect = trainCorrect;
      }
    }
    const pairs = same.length + different.length;
    return {
      fold: names[f]!,
      pairs,
      accuracy: correct[f]![best]! / pairs,
      thresholdSquaredDistance: best * ACCURACY_STEP,
    };
  });
  const accuracies = folds.map((fold) => fold.accuracy);
  return { mean: mean(accuracies), std: deviation(accuracies), folds };
}

function valAtFar(distances: readonly FoldDistances[], farTarget: number): ValAtFar {
  const differentBelow = distances.map(({ different }) => countsBelow(different, VAL_STEP));
  const folds = distances.map(({ same, different }, f) => {
    const others = distances.filter((_, g) => g !== f);
    const otherCounts = differentBelow.filter((_, g) => g !== f);
    const otherDifferent = sum(others.map((fold) => fold.different.length));
    const farAt = (t: number) => sum(otherCounts.map((counts) => counts[t]!)) / otherDifferent;
    const threshold = thresholdAtFar(farAt, differentBelow[f]!.length, farTarget);
    return {
      val: countBelow(same, threshold) / same.length,
      far: countBelow(different, threshold) / different.length,
    };
  });
  const vals = folds.map((fold) => fold.val);
  return { farTarget, mean: mean(vals), std: deviation(vals), farMean: mean(folds.map((fold) => fold.far)) };
}

/**
 * Inverse of FAR(threshold) on the grid: the straight line from the last grid point whose FAR is at most the target to the next one; 0 if none
 * reaches it.
 */
function thresholdAtFar(farAt: (t: number) => number, thresholds: number, farTarget: number): number {
  if (farAt(thresholds - 1) < farTarget) return 0;
  // No distance is below 0, so farAt(0) = 0 < target.
  let low = 0;
  while (low + 1 < thresholds && farAt(low + 1) <= farTarget) low++;
  const rest = farTarget - farAt(low);
  return (rest === 0 ? low : low + rest / (farAt(low + 1) - farAt(low))) * VAL_STEP;
}
