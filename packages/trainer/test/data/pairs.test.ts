import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ImageFolder, makePairs, readPairs, writePairs } from '../../dist/data/index.js';
import { put, temporaryFolder } from './fixtures.js';

function dataset(identities: number, samples: number): ImageFolder {
  const names = Array.from({ length: identities }, (_, i) => `p${i}`);
  const images = names.flatMap((name, label) => Array.from({ length: samples }, (_, i) => ({ path: `${name}/${i}.jpg`, label })));
  return new ImageFolder('/unused', names, images);
}
const identity = (path: string) => path.split('/')[0];

describe('makePairs', () => {
  it('balances every fold, tells the truth, repeats no pair and shares no identity between folds', () => {
    const pairs = makePairs(dataset(40, 6), { pairs: 600, seed: 3 });
    expect(pairs).toHaveLength(600);
    const seen = new Set<string>();
    const foldOf = new Map<string, number>();
    for (const { a, b, same, fold } of pairs) {
      expect(a).not.toBe(b);
      expect(identity(a) === identity(b)).toBe(same);
      seen.add([a, b].sort().join());
      for (const path of [a, b]) expect(foldOf.get(identity(path)!) ?? fold).toBe(fold);
      for (const path of [a, b]) foldOf.set(identity(path)!, fold);
    }
    expect(seen.size).toBe(600);
    for (let fold = 0; fold < 10; fold++) {
      expect(pairs.filter((pair) => pair.fold === fold && pair.same)).toHaveLength(30);
      expect(pairs.filter((pair) => pair.fold === fold && !pair.same)).toHaveLength(30);
    }
  });

  it('depends on the seed alone', () => {
    const make = (seed: number) => makePairs(dataset(40, 6), { pairs: 200, seed });
    expect(make(1)).toEqual(make(1));
    expect(make(1)).not.toEqual(make(2));
  });

  it('shares identities between folds when there are too few', () => {
    const pairs = makePairs(dataset(5, 10), { pairs: 200, seed: 1 });
    expect(pairs).toHaveLength(200);
    for (const { a, b, same } of pairs) expect(identity(a) === identity(b)).toBe(same);
  });

  it.each([
    [40, 3, 10],
    [7, 9, 2],
    [5, 4, 10],
  ])('says how many pairs %i identities of %i images have in %i folds, and draws them all', (identities, samples, folds) => {
    const images = dataset(identities, samples);
    let message = '';
    try {
      makePairs(images, { pairs: 6000, folds, seed: 1 });
    } catch (error) {
      message = (error as Error).message;
    }
    const most = Number(/; ask for fewer pairs, at most (\d+) \(evaluate\.pairs; hyperarc evaluate --count;/.exec(message)![1]);
    expect(makePairs(images, { pairs: most, folds, seed: 1 })).toHaveLength(most);
    expect(() => makePairs(images, { pairs: most + 2 * folds, folds, seed: 1 })).toThrow(message.split('; ')[1]);
  });

  it.each([
    ['one identity', dataset(1, 9), 20],
    ['single images', dataset(9, 1), 20],
    ['more pairs than there are', dataset(4, 2), 400],
    ['fewer than two pairs a fold', dataset(40, 6), 19],
  ])('refuses %s', (_, images, pairs) => {
    expect(() => makePairs(images, { pairs, seed: 1 })).toThrow(expect.objectContaining({ code: 'E_RANGE' }));
  });
});

describe('a list of pairs', () => {
  it('comes back as written, spaces in names too', async () => {
    const folder = temporaryFolder();
    const pairs = [
      { a: 'Ann Lee/1.jpg', b: 'Ann Lee/2.jpg', same: true, fold: 0 },
      { a: 'Ann Lee/1.jpg', b: 'Bo/1.jpg', same: false, fold: 9 },
    ];
    await writePairs(join(folder, 'pairs.txt'), pairs);
    expect(await readPairs(join(folder, 'pairs.txt'))).toEqual(pairs);
    expect(readdirSync(folder)).toEqual(['pairs.txt']);
  });

  it.each(['a.jpg b.jpg', 'a.jpg b.jpg 2', 'a.jpg b.jpg 2 0', 'a.jpg b.jpg 1 x', 'a.jpg b.jpg 1 0 9', '', '# only a comment'])('refuses "%s"', async (line) => {
    const folder = temporaryFolder();
    put(folder, 'pairs.txt', `${line}\n`);
    await expect(readPairs(join(folder, 'pairs.txt'))).rejects.toMatchObject({ code: 'E_FORMAT' });
  });

  it('without folds is cut into unshuffled ones', async () => {
    const folder = temporaryFolder();
    const lines = Array.from({ length: 7 }, (_, i) => `a${i} b${i} ${i % 2}\n`);
    put(folder, 'pairs.txt', lines.join(''));
    const pairs = await readPairs(join(folder, 'pairs.txt'), { folds: 3 });
    expect(pairs.map(({ fold }) => fold)).toEqual([0, 0, 0, 1, 1, 2, 2]);
    expect(pairs[1]).toEqual({ a: 'a1', b: 'b1', same: true, fold: 0 });
    put(folder, 'mixed.txt', 'a b 1\na b 0 0\n');
    await expect(readPairs(join(folder, 'mixed.txt'))).rejects.toThrow(/"pathA pathB 0\|1", received "a b 0 0" at .*mixed\.txt:2/);
  });

  it('reads fields between spaces and names the bad line', async () => {
    const folder = temporaryFolder();
    put(folder, 'pairs.txt', 'a b 1 0\r\na b 7 0\r\n');
    await expect(readPairs(join(folder, 'pairs.txt'))).rejects.toThrow(/pairs\.txt:2/);
    await expect(readPairs(join(folder, 'absent.txt'))).rejects.toMatchObject({ code: 'E_FORMAT' });
  });
});

describe("LFW's pairs.txt", () => {
  /** Two folds of two pairs of each kind, in the official layout. */
  const OFFICIAL = [
    '2\t2',
    'Abel_Pacheco\t1\t4',
    'Akhmed_Zakayev\t1\t3',
    'Abdel_Madi_Shabneh\t1\tDean_Barker\t1',
    'Abel_Pacheco\t1\tDean_Barker\t12',
    'Zhu_Rongji\t1\t2',
    'Zhu_Rongji\t2\t1234',
    'Abel_Pacheco\t4\tZhu_Rongji\t1',
    'Akhmed_Zakayev\t3\tZhu_Rongji\t2',
    '',
  ];
  const write = (lines: readonly string[], ending = '\n') => {
    const folder = temporaryFolder();
    put(folder, 'pairs.txt', lines.join(ending));
    return join(folder, 'pairs.txt');
  };

  it.each(['\n', '\r\n'])('gives images, labels and folds', async (ending) => {
    const pairs = await readPairs(write(OFFICIAL, ending));
    expect(pairs.map(({ same }) => same)).toEqual([true, true, false, false, true, true, false, false]);
    expect(pairs.map(({ fold }) => fold)).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    expect(pairs[0]).toMatchObject({ a: 'Abel_Pacheco/Abel_Pacheco_0001.jpg', b: 'Abel_Pacheco/Abel_Pacheco_0004.jpg' });
    expect(pairs[3]).toMatchObject({ a: 'Abel_Pacheco/Abel_Pacheco_0001.jpg', b: 'Dean_Barker/Dean_Barker_0012.jpg' });
    expect(pairs[5]!.b).toBe('Zhu_Rongji/Zhu_Rongji_1234.jpg');
  });

  it('finds the ending of each image below the root', async () => {
    const root = temporaryFolder();
    put(root, 'A/A_0001.png', '');
    put(root, 'A/A_0002.jpg', '');
    put(root, 'B/B_0001.jpeg', '');
    const file = write(['1 1', 'A 1 2', 'A 1 B 1']);
    expect(await readPairs(file, { root })).toEqual([
      { a: 'A/A_0001.png', b: 'A/A_0002.jpg', same: true, fold: 0 },
      { a: 'A/A_0001.png', b: 'B/B_0001.jpeg', same: false, fold: 0 },
    ]);
    const absent = write(['1 1', 'A 1 2', 'A 1 B 2']);
    await expect(readPairs(absent, { root })).rejects.toThrow(/expected an image .*B\/B_0002\.jpg \(or \.jpeg, \.png, \.webp\), received none at .*pairs\.txt:3/);
  });

  it.each([
    ['a line is missing', OFFICIAL.slice(0, -2), /2 folds of 2 × 2 pairs, 8 lines after the header, received 7 at .*:1/],
    ['a same pair of two people', OFFICIAL.with(1, 'A\t1\tB\t2'), /"name n1 n2" of one person, received "A\t1\tB\t2" at .*:2/],
    ['a different pair of one person', OFFICIAL.with(3, 'A\t1\t2'), /"name1 n1 name2 n2" of two, .*:4/],
    ['a number that is none', OFFICIAL.with(5, 'A\tx\t2'), /the number of an image, received "x" at .*:6/],
    ['a path out of the folder', OFFICIAL.with(5, '../A\t1\t2'), /the name of a person, received "\.\.\/A" at .*:6/],
    ['no fold', ['0\t300'], /at least one fold/],
  ])('refuses a list where %s', async (_, lines, message) => {
    await expect(readPairs(write(lines))).rejects.toThrow(message);
  });
});
