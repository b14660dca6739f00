import type { GroupRates } from './measures.js';

/** A pair with its score, as the counting sees it. */
export interface GroupedPair {
  readonly same: boolean;
  /** Accepted at the threshold. */
  readonly accepted: boolean;
  /** Identities of the two images, numbers from 0; equal where `same`. */
  readonly a: number;
  readonly b: number;
  /** Group of both images, a number from 0; undefined where they are of two groups. */
  readonly group: number | undefined;
}

/** Pairs and errors of one group by the identities they are of: what a weight on identities needs. */
export interface GroupTable {
  /** Different pairs, one entry for each two identities: [n] */
  readonly impostors: {
    readonly a: Int32Array;
    readonly b: Int32Array;
    readonly pairs: Float64Array;
    readonly errors: Float64Array;
  };
  /** Same pairs, one entry an identity: [m] */
  readonly mated: { readonly identity: Int32Array; readonly pairs: Float64Array; readonly errors: Float64Array };
  /** Identities that the group's pairs are of, ascending. */
  readonly identities: Int32Array;
}

interface Count {
  a: number;
  b: number;
  pairs: number;
  errors: number;
}

/** Counts pairs by group. Pairs across groups are left out. */
export function countPairs(pairs: Iterable<GroupedPair>, groups: number): GroupTable[] {
  const counts = Array.from({ length: groups }, () => ({
    same: new Map<string, Count>(),
    different: new Map<string, Count>(),
  }));
  for (const { same, accepted, a, b, group } of pairs) {
    if (group === undefined) continue;
    const map = counts[group]![same ? 'same' : 'different'];
    const [low, high] = a < b ? [a, b] : [b, a];
    const key = `${low} ${high}`;
    let count = map.get(key);
    if (count === undefined) map.set(key, (count = { a: low, b: high, pairs: 0, errors: 0 }));
    count.pairs++;
    if (accepted !== same) count.errors++;
  }
  return counts.map(({ same, different }) => {
    const [mated, impostors] = [[...same.values()], [...different.values()]];
    return {
      impostors: {
        a: Int32Array.from(impostors, ({ a }) => a),
        b: Int32Array.from(impostors, ({ b }) => b),
        pairs: Float64Array.from(impostors, ({ pairs }) => pairs),
        errors: Float64Array.from(impostors, ({ errors }) => errors),
      },
      mated: {
        identity: Int32Array.from(mated, ({ a }) => a),
        pairs: Float64Array.from(mated, ({ pairs }) => pairs),
        errors: Float64Array.from(mated, ({ errors }) => errors),
      },
      identities: Int32Array.from(new Set([...mated, ...impostors].flatMap(({ a, b }) => [a, b]))).sort(),
    };
  });
}

const share = (errors: number, pairs: number): number | null => (pairs === 0 ? null : errors / pairs);

/**
 * Rates of one group with a weight on every identity: a same pair weighs w_a, a different pair w_a·w_b. Weights of 1 give the
 * plain rates.
 * @param weights By identity.
 */
export function weightedRates({ impostors, mated }: GroupTable, weights: ArrayLike<number>): GroupRates {
  let [falseMatches, different] = [0, 0];
  for (let i = 0; i < impostors.a.length; i++) {
    const weight = weights[impostors.a[i]!]! * weights[impostors.b[i]!]!;
    falseMatches += weight * impostors.errors[i]!;
    different += weight * impostors.pairs[i]!;
  }
  let [falseNonMatches, same] = [0, 0];
  for (let i = 0; i < mated.identity.length; i++) {
    const weight = weights[mated.identity[i]!]!;
    falseNonMatches += weight * mated.errors[i]!;
    same += weight * mated.pairs[i]!;
  }
  return { fmr: share(falseMatches, different), fnmr: share(falseNonMatches, same) };
}
