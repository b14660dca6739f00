import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  evaluateFairness,
  formatFairness,
  groupPairs,
  measureFairness,
  MIN_PEOPLE,
  readFairness,
  writeFairness,
  type FairnessOptions,
  type GroupRates,
} from '../../../dist/evaluate/index.js';
import { binGroups, readGroups } from '../../../dist/data/index.js';
import { bootstrap, percentile, resampleIdentities } from '../../../dist/evaluate/fairness/bootstrap.js';
import { fairnessSection } from '../../../dist/report/limits.js';
import { pairAt } from '../../../dist/evaluate/fairness/pairs.js';
import { countPairs, weightedRates, type GroupedPair } from '../../../dist/evaluate/fairness/tables.js';

interface Expected {
  names: string[];
  groupOfPerson: number[];
  pairs: { a: number; b: number; similarity: number }[];
  fmr: number;
  threshold: number;
  weights: number[][];
  rates: [number | null, number | null][][];
  measures: {
    rates: [number | null, number | null][];
    alpha: number;
    fdr: number | null;
    inequity: number | null;
    garbe: number | null;
  }[];
  percentiles: { values: number[]; shares: number[]; expected: number[] };
}
/** reference/make_expected.py. */
const expected = JSON.parse(readFileSync(new URL('reference/expected.json', import.meta.url), 'utf8')) as Expected;
const { names, groupOfPerson, pairs, threshold } = expected;

const folder = mkdtempSync(join(tmpdir(), 'hyperarc-fairness-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function close(received: number | null, wanted: number | null, what: string): void {
  if (wanted === null || received === null) expect(received, what).toBe(wanted);
  else expect(received, what).toBeCloseTo(wanted, 12);
}

const grouped: GroupedPair[] = pairs.map(({ a, b, similarity }) => ({
  same: a === b,
  accepted: similarity >= threshold,
  a,
  b,
  group: groupOfPerson[a] === groupOfPerson[b] ? groupOfPerson[a] : undefined,
}));

type ImageGrouped = Extract<FairnessOptions, { groupOfPair?: undefined }>;
const options: ImageGrouped = {
  pairs: pairs.map(({ a, b }, i) => ({ a: `p${a}/${i}.jpg`, b: `p${b}/x${i}.jpg`, same: a === b, fold: 0 })),
  similarities: pairs.map(({ similarity }) => similarity),
  groupOf: (path) => names[groupOfPerson[Number(path.slice(1, path.indexOf('/')))]!],
  data: 'test',
  groupSource: 'groups.yaml',
  fmr: expected.fmr,
  replicates: 200,
};

describe('against NumPy', () => {
  it('rates of each group, plain and with weights on people', () => {
    const tables = countPairs(grouped, names.length);
    for (const [w, weights] of expected.weights.entries()) {
      for (const [g, table] of tables.entries()) {
        const { fmr, fnmr } = weightedRates(table, weights);
        close(fmr, expected.rates[w]![g]![0], `FMR of ${names[g]}, weights ${w}`);
        close(fnmr, expected.rates[w]![g]![1], `FNMR of ${names[g]}, weights ${w}`);
      }
    }
  });

  it.each(expected.measures.map((entry, i) => [i, entry] as const))('measures, case %i', (_i, entry) => {
    const rates = entry.rates.map(([fmr, fnmr]): GroupRates => ({ fmr, fnmr }));
    const measures = measureFairness(rates, entry.alpha);
    for (const name of ['fdr', 'inequity', 'garbe'] as const) close(measures[name], entry[name], name);
  });

  it('percentiles, and the whole evaluation', () => {
    const sorted = Float64Array.from(expected.percentiles.values).sort();
    expected.percentiles.shares.forEach((share, i) =>
      close(percentile(sorted, share), expected.percentiles.expected[i]!, String(share)),
    );
    const fairness = evaluateFairness(options);
    expect(fairness.threshold).toBe(threshold);
    expect(fairness.groups.map(({ group }) => group)).toEqual(names);
    fairness.groups.forEach(({ fmr, fnmr }, g) => {
      close(fmr, expected.rates[0]![g]![0], 'FMR');
      close(fnmr, expected.rates[0]![g]![1], 'FNMR');
    });
    const plain = expected.measures[0]!;
    for (const name of ['fdr', 'inequity', 'garbe'] as const) close(fairness.measures[name], plain[name], name);
    expect(fairness.pairsAcrossGroups).toBe(grouped.filter(({ group }) => group === undefined).length);
    const accepted = grouped.filter(({ same, accepted: taken }) => !same && taken).length;
    expect(fairness.overall.fmr).toBe(accepted / grouped.filter(({ same }) => !same).length);
    expect(fairness.overall.fmr).toBeLessThanOrEqual(expected.fmr);
  });
});

describe('bootstrap', () => {
  const tables = countPairs(grouped, names.length);

  it('draws as many people of each group as it has, each about as often', () => {
    const sums = new Float64Array(groupOfPerson.length);
    for (let replicate = 0; replicate < 2000; replicate++) {
      const weights = new Float64Array(groupOfPerson.length);
      resampleIdentities(tables, weights, 5, replicate);
      for (const { identities } of tables) {
        expect(identities.reduce((sum, identity) => sum + weights[identity]!, 0)).toBe(identities.length);
      }
      weights.forEach((weight, i) => (sums[i]! += weight));
    }
    // Mean 1, standard deviation of the mean of 2000 below 0.023.
    for (const sum of sums) expect(Math.abs(sum / 2000 - 1)).toBeLessThan(0.1);
  });

  /** Every person n times over, as different people. */
  const times = (n: number): ImageGrouped => {
    const copies = Array.from({ length: n }, (_, copy) => pairs.map((pair) => ({ ...pair, copy }))).flat();
    const rename = (person: number, copy: number) => `p${person}/c${copy}`;
    return {
      ...options,
      threshold,
      pairs: copies.map(({ a, b, copy }) => ({ a: rename(a, copy), b: rename(b, copy), same: a === b, fold: 0 })),
      similarities: copies.map(({ similarity }) => similarity),
      identityOf: (path) => path,
    };
  };

  it('is the same for the same seed, holds the figure, and narrows with more people', () => {
    const fairness = evaluateFairness(times(4));
    const again = evaluateFairness(times(4));
    expect({ ...again, createdAt: '' }).toEqual({ ...fairness, createdAt: '' });
    expect(evaluateFairness({ ...times(4), seed: 2 }).groups).not.toEqual(fairness.groups);
    const [, , west] = fairness.groups;
    expect(west).toMatchObject({
      fnmr: 0,
      falseNonMatches: 0,
      fnmrInterval: null,
      fnmrIntervalNote: 'no pair is an error, which resampling cannot vary',
    });
    for (const { fnmr, fnmrInterval } of fairness.groups.slice(0, 2)) {
      expect(fnmrInterval!.low).toBeLessThanOrEqual(fnmr!);
      expect(fnmrInterval!.high).toBeGreaterThanOrEqual(fnmr!);
      expect(fnmrInterval!.high).toBeGreaterThan(fnmrInterval!.low);
    }
    const wide = evaluateFairness(times(16));
    const width = ({ groups }: typeof wide) =>
      groups.slice(0, 2).reduce((sum, { fnmrInterval }) => sum + fnmrInterval!.high - fnmrInterval!.low, 0);
    expect(width(wide) / width(fairness)).toBeLessThan(0.75);
    expect(width(wide) / width(fairness)).toBeGreaterThan(0.3);
  });

  it('counts replicates in which a figure is undefined', () => {
    const drawn = bootstrap(tables, { replicates: 100, confidence: 0.95, seed: 1, alpha: 1 });
    // Of the few people in a group those may be drawn who have no false match.
    expect(drawn.measures.inequity!.undefinedReplicates).toBeGreaterThan(0);
    expect(drawn.measures.inequity!.undefinedReplicates).toBeLessThan(100);
  });

  it('claims nothing of fewer than eleven people, and says so', () => {
    expect(MIN_PEOPLE).toBe(11);
    // 15, 12 and 9 people.
    const fairness = evaluateFairness(times(3));
    const [north, south, west] = fairness.groups;
    for (const group of [north!, south!]) {
      expect(group.fnmrInterval).not.toBeNull();
      expect(group).not.toHaveProperty('fnmrIntervalNote');
    }
    const note = 'fewer than 11 people have such pairs, too few for a bootstrap';
    expect(west).toMatchObject({ fmrInterval: null, fmrIntervalNote: note });
    expect(fairness).toMatchObject({
      measureIntervals: { fdr: null, inequity: null, garbe: null },
      measureIntervalNote: `in a group ${note}`,
    });
    const text = formatFairness(fairness);
    expect(text).toContain(`\nno interval of FMR for west: ${note}\n`);
    expect(text).toContain(`\nno intervals of the measures: in a group ${note}`);
    expect(text).toMatch(/^FDR +\d\.\d{4} +\(1 is fair\)$/m);
    expect(fairnessSection(fairness).markup).toContain(`No interval of FMR for west: ${note}.`);
  });

  it('counts the people who have pairs of the kind', () => {
    // Of 15 people in the north, 10 have same pairs.
    const all = times(3);
    const [first, second] = groupOfPerson.flatMap((group, person) => (group === 0 ? [person] : []));
    const without = new Set(
      [0, 1, 2].flatMap((copy) => [`p${first}/c${copy}`, ...(copy < 2 ? [`p${second}/c${copy}`] : [])]),
    );
    const kept = all.pairs.map(({ a, same }) => !(same && without.has(a)));
    const [north] = evaluateFairness({
      ...all,
      pairs: all.pairs.filter((_, i) => kept[i]),
      similarities: Array.from(all.similarities).filter((_, i) => kept[i]),
    }).groups;
    expect(north!.identities).toBe(15);
    expect(north!.fnmrIntervalNote).toMatch(/fewer than 11 people/);
    expect(north!.fmrIntervalNote).toBeUndefined();
  });
});

describe('groupPairs', () => {
  const dataset = {
    labels: Int32Array.from({ length: 24 }, (_, i) => i % 8),
    nameOf: (i: number) => `p${i % 8}/${i}.jpg`,
  };
  const groupOf = (path: string) => ['a', 'a', 'a', 'a', 'a', 'b', 'b', undefined][Number(path[1])];

  it('makes every pair within a group once', () => {
    const made = groupPairs(dataset, groupOf, { limit: 1000, seed: 1 });
    const keys = made.map(({ a, b }) => [a, b].sort().join(' '));
    expect(new Set(keys).size).toBe(made.length);
    // 15 images of 5 people and 6 of 2.
    expect(made.filter(({ same }) => same)).toHaveLength(5 * 3 + 2 * 3);
    expect(made.filter(({ same }) => !same)).toHaveLength((15 * 14) / 2 - 15 + (6 * 5) / 2 - 6);
    for (const { a, b, same } of made) {
      expect(groupOf(a)).toBe(groupOf(b));
      expect(a.split('/')[0] === b.split('/')[0]).toBe(same);
    }
  });

  it('draws up to the limit of each kind and group, by the seed', () => {
    const made = groupPairs(dataset, groupOf, { limit: 8, seed: 1 });
    const count = (group: string, same: boolean) =>
      made.filter((pair) => groupOf(pair.a) === group && pair.same === same).length;
    expect([count('a', true), count('a', false), count('b', true), count('b', false)]).toEqual([8, 8, 6, 8]);
    expect(new Set(made.map(({ a, b }) => [a, b].sort().join(' '))).size).toBe(made.length);
    expect(groupPairs(dataset, groupOf, { limit: 8, seed: 1 })).toEqual(made);
    expect(groupPairs(dataset, groupOf, { limit: 8, seed: 2 })).not.toEqual(made);
  });

  it('numbers pairs without gaps, far out too', () => {
    expect(Array.from({ length: 6 }, (_, k) => pairAt(k))).toEqual([
      [1, 0],
      [2, 0],
      [2, 1],
      [3, 0],
      [3, 1],
      [3, 2],
    ]);
    for (const i of [99_999, 1_000_000, 60_000_000]) {
      const first = (i * (i - 1)) / 2;
      expect([pairAt(first), pairAt(first - 1), pairAt(first + i - 1)]).toEqual([
        [i, 0],
        [i - 1, i - 2],
        [i, i - 1],
      ]);
    }
  });
});

describe('files and messages', () => {
  it('writes and reads, and prints every group, measure and reason', () => {
    const fairness = evaluateFairness({ ...options, threshold: 0.95 });
    const path = join(folder, 'fairness.json');
    writeFairness(path, fairness);
    expect(readFairness(path)).toEqual(fairness);
    writeFileSync(path, '{}');
    expect(() => readFairness(path)).toThrow('hyperarc-fairness-1');
    const text = formatFairness(fairness);
    for (const name of names) expect(text).toContain(name);
    expect(text).toContain('inequity  undefined');
    expect(text).toContain('inequity is undefined: no false match of north, south, west;');
    expect(text).toContain('GARBE     undefined');
    const ordered = evaluateFairness({ ...options, order: ['west', 'east', 'south', 'north'] });
    expect(ordered.groups.map(({ group }) => group)).toEqual(['west', 'south', 'north']);
  });

  it.each<[Partial<ImageGrouped>, string]>([
    [{ alpha: 2 }, 'alpha: expected a number in [0, 1], received 2'],
    [{ fmr: 0 }, 'far: expected a number in (0, 1], received 0'],
    [
      { fmr: 1e-6 },
      'far: expected a rate that the pairs can measure, received 0.000001, which needs at least 1000000 different pairs',
    ],
    [{ threshold: 1.5 }, 'threshold: expected a cosine'],
    [{ replicates: 0 }, 'replicates'],
    [{ confidence: 1 }, 'confidence'],
    [{ groupOf: () => 'all' }, 'groups: expected at least two, received all'],
    [{ groupOf: (path) => (path.startsWith('p3') ? undefined : 'a') }, 'received none for p'],
    [{ similarities: [0.1] }, 'expected one boolean'],
  ])('refuses %o', (change, message) => {
    expect(() => evaluateFairness({ ...options, ...change })).toThrow(message);
  });

  it('cuts a column of numbers into groups', () => {
    const file = join(folder, 'attributes.csv');
    writeFileSync(file, 'path,tone\np0/1.jpg,0.1\np1/1.jpg,0.3\np2/1.jpg,0.9\np3/1.jpg,dark\n');
    const groups = binGroups('--edges', readGroups('--groups', file), [0.3, 0.6]);
    expect(['p0/1.jpg', 'p1/1.jpg', 'faces/p2/1.jpg', 'p9/1.jpg'].map((path) => groups.groupOf(path))).toEqual([
      'below 0.3',
      '0.3 to 0.6',
      '0.6 and above',
      undefined,
    ]);
    expect(() => groups.groupOf('p3/1.jpg')).toThrow('--edges: expected numbers in');
  });
});
