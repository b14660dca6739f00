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

  it.each(['a.jpg b.jpg 1', 'a.jpg b.jpg 2 0', 'a.jpg b.jpg 1 x', 'a.jpg b.jpg 1 0 9', '', '# only a comment'])('refuses "%s"', async (line) => {
    const folder = temporaryFolder();
    put(folder, 'pairs.txt', `${line}\n`);
    await expect(readPairs(join(folder, 'pairs.txt'))).rejects.toMatchObject({ code: 'E_FORMAT' });
  });

  it('reads fields between spaces and names the bad line', async () => {
    const folder = temporaryFolder();
    put(folder, 'pairs.txt', 'a b 1 0\r\na b 7 0\r\n');
    await expect(readPairs(join(folder, 'pairs.txt'))).rejects.toThrow(/pairs\.txt:2/);
    await expect(readPairs(join(folder, 'absent.txt'))).rejects.toMatchObject({ code: 'E_FORMAT' });
  });
});
