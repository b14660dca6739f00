import { KeyedRandom } from '../../data/keyedRandom.js';
import { measureFairness, type FairnessMeasures, type GroupRates } from './measures.js';
import { weightedRates, type GroupTable } from './tables.js';

/** Percentiles of the replicates in which the figure is defined; null where there are none. */
export interface Interval {
  readonly low: number;
  readonly high: number;
  /** Replicates in which the figure was undefined. */
  readonly undefinedReplicates: number;
}

export interface BootstrapResult {
  readonly groups: readonly { readonly fmr: Interval | null; readonly fnmr: Interval | null }[];
  readonly measures: { readonly [Name in keyof FairnessMeasures]: Interval | null };
}

export interface BootstrapOptions {
  readonly replicates: number;
  /** For example 0.95: from the 2.5th to the 97.5th percentile. */
  readonly confidence: number;
  readonly seed: number;
  readonly alpha: number;
}

const STREAM = 0x66616972;

/**
 * How often each identity comes in one replicate: as many identities of each group as it has, drawn with replacement.
 * @param weights [identities], overwritten for the groups' identities.
 */
export function resampleIdentities(
  tables: readonly GroupTable[],
  weights: Float64Array,
  seed: number,
  replicate: number,
): void {
  for (const [group, { identities }] of tables.entries()) {
    const random = new KeyedRandom(STREAM, seed, replicate, group);
    for (const identity of identities) weights[identity] = 0;
    for (let i = 0; i < identities.length; i++) weights[random.pick(identities as unknown as number[])]! += 1;
  }
}

/** Linear between the order statistics, as numpy.percentile. @param share In [0, 1]. */
export function percentile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(sorted.length - 1, low + 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!);
}

function interval(values: readonly (number | null)[], confidence: number): Interval | null {
  const defined = Float64Array.from(values.filter((value) => value !== null)).sort();
  if (defined.length === 0) return null;
  const tail = (1 - confidence) / 2;
  return {
    low: percentile(defined, tail),
    high: percentile(defined, 1 - tail),
    undefinedReplicates: values.length - defined.length,
  };
}

/**
 * Percentile intervals by a bootstrap over identities within groups: pairs of one person are not independent, so people are
 * what is drawn. The threshold stays where it is.
 */
export function bootstrap(tables: readonly GroupTable[], options: BootstrapOptions): BootstrapResult {
  const { replicates, confidence, seed, alpha } = options;
  const identities = Math.max(-1, ...tables.map(({ identities: list }) => list.at(-1) ?? -1)) + 1;
  const weights = new Float64Array(identities);
  const drawn: { rates: GroupRates[]; measures: FairnessMeasures }[] = [];
  for (let replicate = 0; replicate < replicates; replicate++) {
    resampleIdentities(tables, weights, seed, replicate);
    const rates = tables.map((table) => weightedRates(table, weights));
    drawn.push({ rates, measures: measureFairness(rates, alpha) });
  }
  const of = (value: (replicate: (typeof drawn)[number]) => number | null) => interval(drawn.map(value), confidence);
  return {
    groups: tables.map((_, g) => ({ fmr: of(({ rates }) => rates[g]!.fmr), fnmr: of(({ rates }) => rates[g]!.fnmr) })),
    measures: {
      fdr: of(({ measures }) => measures.fdr),
      inequity: of(({ measures }) => measures.inequity),
      garbe: of(({ measures }) => measures.garbe),
    },
  };
}
