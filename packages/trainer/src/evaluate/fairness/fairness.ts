import { readFileSync } from 'node:fs';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import { writeAtomically } from '../../files.js';
import type { ImagePair } from '../pairs.js';
import { checkFar, checkScores } from '../roc.js';
import { thresholdAtFmr } from '../threshold.js';
import { bootstrap, type Interval } from './bootstrap.js';
import { measureFairness, type FairnessMeasures } from './measures.js';
import { countPairs, weightedRates, type GroupedPair, type GroupTable } from './tables.js';

/** One group at the global threshold. */
export interface GroupFairness {
  readonly group: string;
  readonly identities: number;
  readonly differentPairs: number;
  readonly falseMatches: number;
  readonly samePairs: number;
  readonly falseNonMatches: number;
  /**
   * null: no such pair. The intervals are null also where they would claim a certainty that is not there, and the notes say
   * why: fewer than {@link MIN_PEOPLE} have such pairs, or no pair, or every pair, is an error, which resampling gives again.
   */
  readonly fmr: number | null;
  readonly fmrInterval: Interval | null;
  readonly fmrIntervalNote?: string;
  readonly fnmr: number | null;
  readonly fnmrInterval: Interval | null;
  readonly fnmrIntervalNote?: string;
}

/** Contents of fairness.json. */
export interface Fairness {
  readonly format: 'hyperarc-fairness-1';
  /** ISO 8601. */
  readonly createdAt: string;
  /** What was verified, in words. */
  readonly data: string;
  /** Where the groups come from. */
  readonly groupSource: string;
  /** How people were told apart, where that is uncertain. */
  readonly people?: string;
  /** Cosine similarity from which a pair is accepted, one for all groups. */
  readonly threshold: number;
  /** The FMR asked for, which set the threshold; null where the threshold was given. */
  readonly fmrTarget: number | null;
  /** Over all pairs, those across groups too. */
  readonly overall: {
    readonly fmr: number;
    readonly fnmr: number;
    readonly differentPairs: number;
    readonly samePairs: number;
  };
  readonly alpha: number;
  readonly bootstrap: { readonly replicates: number; readonly confidence: number; readonly seed: number };
  readonly groups: readonly GroupFairness[];
  readonly measures: FairnessMeasures;
  readonly measureIntervals: { readonly [Name in keyof FairnessMeasures]: Interval | null };
  /** Why the measures have no interval. */
  readonly measureIntervalNote?: string;
  /** Pairs of two groups, which only the threshold and the overall rates count. */
  readonly pairsAcrossGroups: number;
}

/** Groups of images, or of pairs. */
export type GroupsOf =
  /** By path; every image of the pairs must have one. A pair counts for a group when both of its images are of it. */
  | { readonly groupOf: (path: string) => string | undefined; readonly groupOfPair?: undefined }
  /** By the pair's place; undefined for one across groups. A person is then resampled in each group by itself. */
  | { readonly groupOfPair: (pair: number) => string | undefined; readonly groupOf?: undefined };

interface Common {
  /** [N] */
  readonly pairs: readonly ImagePair[];
  /** [N] cosine similarities. */
  readonly similarities: ArrayLike<number>;
  /** By path. Default: the folder the image is in. */
  readonly identityOf?: (path: string) => string;
  /** How people were told apart, where that is uncertain; in words, for the report. */
  readonly people?: string | undefined;
  readonly data: string;
  readonly groupSource: string;
  /** Groups in the order to show them. Default: alphabetical. */
  readonly order?: readonly string[] | undefined;
  /** FMR over all different pairs that sets the threshold: the most permissive one that does not exceed it. Default 1e-3. */
  readonly fmr?: number;
  /** The threshold itself, instead. */
  readonly threshold?: number;
  /** Weight of FMR against FNMR in the measures. Default 0.5. */
  readonly alpha?: number;
  /** Default 1000. */
  readonly replicates?: number;
  /** Default 0.95. */
  readonly confidence?: number;
  /** Default 1. */
  readonly seed?: number;
}

export type FairnessOptions = Common & GroupsOf;

/** `faces/person/1.jpg` is of `person`. */
export const folderOf = (path: string): string => path.split('/').at(-2) ?? path;

/** @throws HyperArcError E_RANGE when there are too few different pairs to measure the rate. */
function thresholdAt(similarities: ArrayLike<number>, same: readonly boolean[], fmr: number): number {
  const at = thresholdAtFmr(similarities, same, fmr);
  if ('threshold' in at) return at.threshold;
  throw new HyperArcError(
    'E_RANGE',
    `far: expected a rate that the pairs can measure, received ${fmr}, which ${at.note}; give a higher rate or more pairs`,
  );
}

function* grouped(
  { pairs, similarities, identityOf = folderOf, ...options }: FairnessOptions,
  threshold: number,
  numberOf: (group: string) => number,
): Generator<GroupedPair> {
  const identities = new Map<string, number>();
  const identity = (path: string, within: string): number => {
    const name = within + identityOf(path);
    const known = identities.get(name);
    if (known !== undefined) return known;
    identities.set(name, identities.size);
    return identities.size - 1;
  };
  for (const [i, { a, b, same }] of pairs.entries()) {
    const name = groupOfPairAt(options, i, a, b);
    const group = name === undefined ? undefined : numberOf(name);
    // Where pairs have groups one person may be in several; a weight must be of one.
    const within = options.groupOfPair === undefined ? '' : `${group}/`;
    yield { same, accepted: similarities[i]! >= threshold, a: identity(a, within), b: identity(b, within), group };
  }
}

/** The group of a pair; undefined where it is across groups. */
function groupOfPairAt({ groupOf, groupOfPair }: GroupsOf, pair: number, a: string, b: string): string | undefined {
  if (groupOfPair !== undefined) return groupOfPair(pair);
  const group = groupOf(a);
  return group === groupOf(b) ? group : undefined;
}

function checkOptions({ alpha = 0.5, replicates = 1000, confidence = 0.95, threshold }: FairnessOptions): void {
  const refuse = (name: string, expected: string, received: number): never => {
    throw new HyperArcError('E_RANGE', `${name}: expected ${expected}, received ${received}`);
  };
  if (!(alpha >= 0 && alpha <= 1)) refuse('alpha', 'a number in [0, 1]', alpha);
  if (!(confidence > 0 && confidence < 1)) refuse('confidence', 'a number in (0, 1)', confidence);
  if (!Number.isInteger(replicates) || replicates < 1 || replicates > 1e6) {
    refuse('replicates', 'a whole number from 1 to 1000000', replicates);
  }
  if (threshold !== undefined && !(Math.abs(threshold) <= 1)) refuse('threshold', 'a cosine in [-1, 1]', threshold);
}

/**
 * The least number of people that a group's bootstrap resamples. Of so few, replicates repeat one another and their percentiles
 * hold the true rate too rarely: "five to thirty" clusters are few for any method (Cameron, Gelbach and Miller 2008), and with
 * fewer than eleven bootstraps made for few clusters fail too (Webb, Queen's Economics Department Working Paper 1315, 2014).
 */
export const MIN_PEOPLE = 11;

const TOO_FEW = `fewer than ${MIN_PEOPLE} people have such pairs, too few for a bootstrap`;

/** People with pairs of each kind in a group. */
const peopleOf = ({ impostors, mated }: GroupTable): { fmr: number; fnmr: number } => ({
  fmr: new Set([...impostors.a, ...impostors.b]).size,
  fnmr: mated.identity.length,
});

/** Why a rate has no interval; undefined where it has one. */
function withoutInterval(rate: number | null, people: number): string | undefined {
  if (rate === null) return 'no such pair';
  if (people < MIN_PEOPLE) return TOO_FEW;
  if (rate === 0) return 'no pair is an error, which resampling cannot vary';
  if (rate === 1) return 'every pair is an error, which resampling cannot vary';
  return undefined;
}

/** Why the measures have no interval: one of the rates that they compare is of too few people. */
function withoutMeasureIntervals(tables: readonly GroupTable[], alpha: number): string | undefined {
  const tooFew = tables.some((table) => {
    const { fmr, fnmr } = peopleOf(table);
    return (alpha > 0 && fmr < MIN_PEOPLE) || (alpha < 1 && fnmr < MIN_PEOPLE);
  });
  return tooFew ? `in a group ${TOO_FEW}` : undefined;
}

/** The groups of the pairs, in order. @throws HyperArcError E_RANGE for an image without one, or fewer than two. */
function groupsOfPairs(options: FairnessOptions): string[] {
  const { pairs, groupSource, order } = options;
  const names = new Set<string>();
  if (options.groupOfPair !== undefined) {
    for (const i of pairs.keys()) {
      const group = options.groupOfPair(i);
      if (group !== undefined) names.add(group);
    }
  } else {
    for (const path of pairs.flatMap(({ a, b }) => [a, b])) {
      const group = options.groupOf(path);
      if (group === undefined) {
        throw new HyperArcError(
          'E_RANGE',
          `groups: expected a group for every image of the pairs, received none for ${path} in ${groupSource}; add it or its identity`,
        );
      }
      names.add(group);
    }
  }
  if (names.size < 2) {
    throw new HyperArcError(
      'E_RANGE',
      `groups: expected at least two, received ${[...names].join(', ') || 'none'} in ${groupSource}`,
    );
  }
  return order?.filter((name) => names.has(name)) ?? [...names].sort();
}

/**
 * Error rates of each group at one threshold, how unequal they are, and bootstrap intervals over identities. A group's FMR is
 * over pairs of two people of that group, its FNMR over pairs of one.
 * @throws HyperArcError E_RANGE for options out of range, one group only, an image without a group, or too few pairs for `fmr`;
 *   E_SHAPE, E_NONFINITE as checkScores.
 */
export function evaluateFairness(options: FairnessOptions): Fairness {
  const { pairs, similarities, alpha = 0.5, replicates = 1000, confidence = 0.95, seed = 1, fmr = 1e-3 } = options;
  checkOptions(options);
  const same = pairs.map((pair) => pair.same);
  checkScores(similarities, same);
  checkFar('far', fmr);
  const names = groupsOfPairs(options);
  const threshold = options.threshold ?? thresholdAt(similarities, same, fmr);
  const all = [...grouped(options, threshold, (group) => names.indexOf(group))];
  const tables = countPairs(all, names.length);
  // Identities are numbered in order of appearance: there are fewer than images.
  const ones = new Float64Array(2 * all.length).fill(1);
  const plain = tables.map((table) => weightedRates(table, ones));
  const drawn = bootstrap(tables, { replicates, confidence, seed, alpha });
  const measureNote = withoutMeasureIntervals(tables, alpha);
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
  const share = (kind: boolean): number => {
    const ofKind = all.filter((pair) => pair.same === kind);
    return ofKind.filter((pair) => pair.accepted !== kind).length / ofKind.length;
  };
  const samePairs = same.filter(Boolean).length;
  return {
    format: 'hyperarc-fairness-1',
    createdAt: new Date().toISOString(),
    data: options.data,
    groupSource: options.groupSource,
    ...(options.people !== undefined && { people: options.people }),
    threshold,
    fmrTarget: options.threshold === undefined ? fmr : null,
    overall: { fmr: share(false), fnmr: share(true), differentPairs: same.length - samePairs, samePairs },
    alpha,
    bootstrap: { replicates, confidence, seed },
    groups: names.map((group, g) => {
      const { fmr: fmrOfGroup, fnmr: fnmrOfGroup } = plain[g]!;
      const people = peopleOf(tables[g]!);
      const fmrNote = withoutInterval(fmrOfGroup, people.fmr);
      const fnmrNote = withoutInterval(fnmrOfGroup, people.fnmr);
      return {
        group,
        identities: tables[g]!.identities.length,
        differentPairs: sum(tables[g]!.impostors.pairs),
        falseMatches: sum(tables[g]!.impostors.errors),
        samePairs: sum(tables[g]!.mated.pairs),
        falseNonMatches: sum(tables[g]!.mated.errors),
        fmr: fmrOfGroup,
        ...(fmrNote === undefined
          ? { fmrInterval: drawn.groups[g]!.fmr }
          : { fmrInterval: null, fmrIntervalNote: fmrNote }),
        fnmr: fnmrOfGroup,
        ...(fnmrNote === undefined
          ? { fnmrInterval: drawn.groups[g]!.fnmr }
          : { fnmrInterval: null, fnmrIntervalNote: fnmrNote }),
      };
    }),
    measures: measureFairness(plain, alpha),
    ...(measureNote === undefined
      ? { measureIntervals: drawn.measures }
      : { measureIntervals: { fdr: null, inequity: null, garbe: null }, measureIntervalNote: measureNote }),
    pairsAcrossGroups: all.filter(({ group }) => group === undefined).length,
  };
}

/** Writes fairness.json whole or not at all. */
export function writeFairness(path: string, fairness: Fairness): void {
  writeAtomically(path, `${JSON.stringify(fairness, null, 1)}\n`);
}

/** @throws HyperArcError E_FORMAT if the file is not one of this format. */
export function readFairness(path: string): Fairness {
  let value: Partial<Fairness> | null = null;
  try {
    value = JSON.parse(readFileSync(path, 'utf8')) as Partial<Fairness> | null;
  } catch {
    // Answered below.
  }
  if (value?.format !== 'hyperarc-fairness-1' || !Array.isArray(value.groups)) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected a file of format hyperarc-fairness-1; run hyperarc fairness again`,
    );
  }
  return value as Fairness;
}
