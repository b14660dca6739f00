import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { binGroups } from '../../../dist/data/index.js';
import { evaluateFairness, formatFairness, readSetGroups, type FairnessOptions } from '../../../dist/evaluate/index.js';
import { temporaryFolder } from '../../data/fixtures.js';

interface Expected {
  names: string[];
  groupOfPerson: number[];
  pairs: { a: number; b: number; similarity: number }[];
  fmr: number;
}
/** reference/make_expected.py. */
const expected = JSON.parse(readFileSync(new URL('reference/expected.json', import.meta.url), 'utf8')) as Expected;
const { names, groupOfPerson } = expected;

/** As a set names them. */
const pairs = expected.pairs.map(({ a, b }, i) => ({
  a: `set/${2 * i}`,
  b: `set/${2 * i + 1}`,
  same: a === b,
  fold: 0,
}));
const similarities = expected.pairs.map(({ similarity }) => similarity);
const groupOfImage = (image: number): string => {
  const { a, b } = expected.pairs[image >> 1]!;
  return names[groupOfPerson[image % 2 === 0 ? a : b]!]!;
};
const personOfImage = (image: number): string => `p${expected.pairs[image >> 1]![image % 2 === 0 ? 'a' : 'b']}`;

const folder = temporaryFolder();
let files = 0;
function fileOf(header: string, lines: readonly string[]): string {
  const path = join(folder, `groups${files++}.csv`);
  writeFileSync(path, `${header}\n${lines.join('\n')}\n`);
  return path;
}
const images = Array.from({ length: 2 * pairs.length }, (_, i) => i);
const imageLines = images.map((i) => `${i},${groupOfImage(i)},${personOfImage(i)}`);
const groupOfPairNumber = (i: number): string =>
  groupOfImage(2 * i) === groupOfImage(2 * i + 1) ? groupOfImage(2 * i) : '';

const options = { pairs, similarities, data: 'set.bin', groupSource: 'g.csv', fmr: expected.fmr, replicates: 200 };
/** The same pairs in folders of people, judged by the code for folders. */
const inFolders: FairnessOptions = {
  ...options,
  pairs: pairs.map((pair, i) => ({
    ...pair,
    a: `${personOfImage(2 * i)}/${i}.jpg`,
    b: `${personOfImage(2 * i + 1)}/x${i}.jpg`,
  })),
  groupOf: (path) => names[groupOfPerson[Number(path.slice(1, path.indexOf('/')))]!],
};
const figures = ({ createdAt: _createdAt, people: _people, ...rest }: ReturnType<typeof evaluateFairness>) => rest;

describe('groups of a verification set', () => {
  it('by image, with people: the figures of the same pairs in folders, intervals included', () => {
    const { by, groupOf, identityOf, people } = readSetGroups(
      '--groups',
      fileOf('image,group,identity', imageLines),
      undefined,
      pairs,
    );
    expect([by, people]).toEqual(['image', undefined]);
    expect(figures(evaluateFairness({ ...options, groupOf, identityOf }))).toEqual(
      figures(evaluateFairness(inFolders)),
    );
  });

  it('by pair: the same rates; an empty group is across groups', () => {
    const lines = pairs.map((_, i) => `${groupOfPairNumber(i)},${i}`);
    expect(lines.some((line) => line.startsWith(','))).toBe(true);
    const { by, groupOf, identityOf, people } = readSetGroups(
      '--groups',
      fileOf('group,pair', lines),
      undefined,
      pairs,
    );
    expect(by).toBe('pair');
    const fairness = evaluateFairness({ ...options, groupOfPair: (i) => groupOf(String(i)), identityOf, people });
    const wanted = evaluateFairness(inFolders);
    expect(fairness.measures).toEqual(wanted.measures);
    expect(fairness.overall).toEqual(wanted.overall);
    expect(fairness.pairsAcrossGroups).toBe(wanted.pairsAcrossGroups);
    const counts = ({ groups }: typeof wanted) =>
      groups.map(({ group, fmr, fnmr, differentPairs, samePairs }) => ({
        group,
        fmr,
        fnmr,
        differentPairs,
        samePairs,
      }));
    expect(counts(fairness)).toEqual(counts(wanted));
    expect(formatFairness(fairness)).toContain('people are told apart by the same pairs that link their images');
  });

  it('counts a person once in each group whose pairs show them', () => {
    // One pair of people in both groups: each group has two people, and each resamples its own.
    const twice = [0, 1, 2, 3].map((i) => ({ a: 'set/0', b: i < 2 ? 'set/1' : 'set/2', same: i < 2, fold: 0 }));
    const fairness = evaluateFairness({
      ...options,
      pairs: twice,
      similarities: [0.9, 0.2, 0.7, 0.1],
      threshold: 0.5,
      groupOfPair: (i) => (i % 2 === 0 ? 'even' : 'odd'),
      identityOf: (name) => (name === 'set/2' ? 'other' : 'one'),
    });
    expect(fairness.groups.map(({ identities, fmr, fnmr }) => [identities, fmr, fnmr])).toEqual([
      [2, 1, 0],
      [2, 0, 1],
    ]);
  });

  it('links the images of one person over same pairs', () => {
    const chain = [
      { a: 's/0', b: 's/1', same: true, fold: 0 },
      { a: 's/2', b: 's/3', same: true, fold: 0 },
      { a: 's/1', b: 's/2', same: true, fold: 0 },
      { a: 's/0', b: 's/7', same: false, fold: 0 },
    ];
    const file = fileOf('pair,g', ['0,x', '1,x', '2,y', '3,y']);
    const { identityOf } = readSetGroups('--groups', file, 'g', chain);
    const people = ['s/0', 's/1', 's/2', 's/3', 's/7'].map(identityOf);
    expect(new Set(people.slice(0, 4)).size).toBe(1);
    expect(people[4]).not.toBe(people[0]);
  });

  it('takes a column of numbers, cut into groups, and images of the same bytes once', () => {
    const equal = [
      { a: 's/0', b: 's/1', same: true, fold: 0 },
      { a: 's/0', b: 's/3', same: false, fold: 0 },
    ];
    const read = readSetGroups('--groups', fileOf('image,name,tone', ['0,n,0.2', '1,m,0.9', '3,k,0.5']), 'tone', equal);
    expect(read.source).toMatch(/groups\d+\.csv, tone$/);
    const { groupOf } = binGroups('--edges', read, [0.5]);
    expect(['s/0', 's/1', 's/3'].map((name) => groupOf(name))).toEqual(['below 0.5', '0.5 and above', '0.5 and above']);
    const pairFile = fileOf('pair,tone', ['0,0.7', '1,']);
    const byPair = binGroups('--edges', readSetGroups('--groups', pairFile, undefined, equal), [0.5]);
    expect(['0', '1'].map((pair) => byPair.groupOf(pair))).toEqual(['0.5 and above', undefined]);
  });

  const two = [
    { a: 's/0', b: 's/1', same: true, fold: 0 },
    { a: 's/0', b: 's/3', same: false, fold: 0 },
  ];
  it.each([
    [
      'path,group',
      ['a,b'],
      /E_FORMAT: --groups: expected a column pair or image, and not both, received path, group in/,
    ],
    ['pair,image,group', ['0,0,b'], /a column pair or image, and not both/],
    ['', [], /expected a column pair or image, and not both, received an empty file/],
    ['pair', ['0'], /expected a column of groups, received pair in/],
    ['pair,group', ['0,a', '0,b', '1,a'], /expected one line for pair 0, received "0,b" at row 3/],
    ['pair,group', ['0,a'], /E_RANGE: .*a line for every pair \(with an empty group .*received none for pair 1/],
    ['pair,group', ['0,a', '2,b'], /E_RANGE: .*numbers of the 2 pairs of the set, from 0, received "2,b" at row 3/],
    ['pair,group', ['0,a', '-1,b'], /the number of a pair, received "-1,b"/],
    ['pair,group', ['0,a,c'], /expected 2 cells, received "0,a,c" at row 2/],
    ['image,group', ['0,a', '1,a'], /E_RANGE: .*a line for every image, received none for s\/3/],
    ['image,group', ['0,', '1,a'], /expected the group of image 0, received "0,"/],
    [
      'image,group',
      ['0,a', '1,a', '2,b', '3,b'],
      /one group of s\/0, whose bytes come again, received a and, "2,b" at row 4, b/,
    ],
    [
      'image,group,identity',
      ['0,a,p', '1,a,q', '3,b,r'],
      /one identity in pair 0, which is of one person, received p and q/,
    ],
    [
      'image,group,identity',
      ['0,a,p', '1,a,p', '3,b,p'],
      /two identities in pair 1, which is of two people, received p and p/,
    ],
  ])('refuses %s: %j', (header, lines, message) => {
    expect(() => readSetGroups('--groups', fileOf(header, lines), undefined, two)).toThrow(message);
  });

  it('names a column and a file that are not there', () => {
    expect(() => readSetGroups('--groups', fileOf('pair,group', ['0,a', '1,b']), 'tone', two)).toThrow(
      /expected a column tone, received pair, group in/,
    );
    expect(() => readSetGroups('--groups', join(folder, 'none.csv'), undefined, two)).toThrow(
      /received .*none\.csv \(ENOENT\)/,
    );
  });
});
