import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

/** The share of the k nearest rows that an approximate search found. */
export interface RecallFigure {
  k: number;
  /** Mean over the checked probes of |found ∩ exact|/k. */
  recall: number;
  /** 95% interval of the mean over all probes; [recall, recall] where all were checked. */
  low: number;
  high: number;
  /** Probes that were searched exactly too, drawn from all `probes`. */
  checked: number;
  probes: number;
}

/** Of the normal distribution, at 97.5%. */
const Z = 1.959963984540054;

/**
 * Wilson's interval (JASA 22, 1927) for a mean of `count` values in [0, 1]. It is made for values 0 and 1, whose variance p·(1 − p) is the largest that values
 * in [0, 1] of mean p can have (Bhatia and Davis, 2000): for a share of k neighbours it is on the wide side, however the k depend on one another.
 */
export function wilson(mean: number, count: number): { low: number; high: number } {
  const square = (Z * Z) / count;
  const centre = (mean + square / 2) / (1 + square);
  const half = (Z / (1 + square)) * Math.sqrt((mean * (1 - mean)) / count + square / (4 * count));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** @param mean over `checked` of the `probes` probes */
export function recallFigure(k: number, mean: number, checked: number, probes: number): RecallFigure {
  const interval = checked === probes ? { low: mean, high: mean } : wilson(mean, checked);
  return { k, recall: mean, ...interval, checked, probes };
}

/**
 * Recall of the first `k` of `depth` rows, by number: where cosines are equal, only the rows that exact search names count, so ties can lower it only.
 * @param found [checked, depth] rows of the approximate search
 * @param exact [checked, depth]
 * @param probes how many probes there are, of which `checked` were drawn
 */
export function measureRecall(
  found: Int32Array,
  exact: Int32Array,
  depth: number,
  k: number,
  probes: number,
): RecallFigure {
  const checked = exact.length / depth;
  let same = 0;
  for (let first = 0; first < exact.length; first += depth) {
    const wanted = new Set(exact.subarray(first, first + k));
    for (const row of found.subarray(first, first + k)) if (wanted.has(row)) same += 1;
  }
  return recallFigure(k, same / (checked * k), checked, probes);
}

/**
 * The fewest lists a probe whose recall's lower bound is at least `target`. The bound grows with the number of lists, so the choice is too low only if
 * the bound at the largest insufficient number reaches `target`: one event of 2.5%, however many numbers there are to choose from.
 * @param needed [checked, k] how many lists lead to each of the nearest rows
 */
export function listsForRecall(needed: Int32Array, k: number, target: number, probes: number): number {
  const sorted = needed.slice().sort();
  const checked = needed.length / k;
  let [low, high] = [1, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (recallFigure(k, middle / sorted.length, checked, probes).low >= target) high = middle;
    else low = middle + 1;
  }
  return sorted[low - 1]!;
}

/** @throws HyperArcError E_RANGE unless `target` is in (0, 1] and `checked` of `probes` probes can show it. */
export function checkTarget(target: number, checked: number, probes: number): void {
  if (!(target > 0 && target <= 1))
    throw new HyperArcError('E_RANGE', `recall: expected a share in (0, 1], received ${target}`);
  const most = recallFigure(1, 1, checked, probes).low;
  if (target <= most) return;
  const enough = Math.min(probes, Math.ceil((Z * Z * target) / (1 - target)));
  const expected = `at most ${most.toFixed(4)}, which is as much as ${checked} checked probes can show`;
  const fix = `check ${enough} of the ${probes} probes`;
  throw new HyperArcError('E_RANGE', `recall: expected ${expected}, received ${target}; ${fix}`);
}
