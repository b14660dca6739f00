import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { main } from '../../dist/cli/main.js';
import {
  ImageFolder,
  makeAttributePairs,
  readAttribute,
  readPairs,
  scanImageFolder,
} from '../../dist/data/index.js';
import { put, temporaryFolder } from './fixtures.js';

const people = 30;
const images = 8;
const dataset = new ImageFolder(
  '/unused',
  Array.from({ length: people }, (_, i) => `p${i}`),
  Array.from({ length: people * images }, (_, i) => {
    const label = Math.floor(i / images);
    return { path: `p${label}/${i % images}.jpg`, label };
  }),
);
/** Ages 20, 30, … 90 of each person; pose 0, 0, 0, 45, 60, 60, 60, 60; a mask on the last. */
const ages = new Map(dataset.samples.map(({ path }, i) => [path, String(20 + 10 * (i % images))]));
const poses = new Map(
  dataset.samples.map(({ path }, i) => [path, ['0', '0', '0', '45', '60', '60', '60', '60'][i % images]!]),
);
const masks = new Map(dataset.samples.map(({ path }, i) => [path, i % images === 7 ? '1' : '0']));
const identity = (path: string) => path.split('/')[0];

describe('makeAttributePairs', () => {
  it.each([
    ['gap', { values: ages, gap: 30 }, (a: string, b: string) => Number(ages.get(b)) - Number(ages.get(a)) >= 30],
    [
      'between',
      { values: poses, between: ['60', '0'] as const },
      (a: string, b: string) => poses.get(a) === '60' && poses.get(b) === '0',
    ],
    ['difference', { values: masks }, (a: string, b: string) => masks.get(a) === '0' && masks.get(b) === '1'],
    ['difference of three', { values: poses }, (a: string, b: string) => Number(poses.get(a)) < Number(poses.get(b))],
  ])('%s: every pair, same or different, differs so; folds are balanced and share nobody', (_, options, holds) => {
    const pairs = makeAttributePairs(dataset, { ...options, pairs: 200, folds: 5, seed: 2 });
    expect(pairs).toHaveLength(200);
    const foldOf = new Map<string, number>();
    for (const { a, b, same, fold } of pairs) {
      expect(holds(a, b), `${a} ${b}`).toBe(true);
      expect(identity(a) === identity(b)).toBe(same);
      for (const path of [a, b]) {
        expect(foldOf.get(identity(path)!) ?? fold).toBe(fold);
        foldOf.set(identity(path)!, fold);
      }
    }
    for (let fold = 0; fold < 5; fold++) {
      for (const same of [true, false])
        expect(pairs.filter((pair) => pair.fold === fold && pair.same === same)).toHaveLength(20);
    }
    expect(new Set(pairs.map(({ a, b }) => `${a} ${b}`)).size).toBe(200);
  });

  it('depends on the seed alone', () => {
    const make = (seed: number) => makeAttributePairs(dataset, { values: masks, pairs: 60, folds: 3, seed });
    expect(make(1)).toEqual(make(1));
    expect(make(1)).not.toEqual(make(2));
  });

  it('leaves out images and people without a value', () => {
    const some = new Map(
      [...masks]
        .filter(([path]) => !path.startsWith('p1'))
        .map(([path, mask]) => [path, path.endsWith('0.jpg') ? '' : mask]),
    );
    const pairs = makeAttributePairs(dataset, { values: some, pairs: 60, folds: 3, seed: 1 });
    for (const path of pairs.flatMap(({ a, b }) => [a, b])) expect(path).not.toMatch(/^p1|\/0\.jpg$/);
  });

  it.each([
    [{ values: new Map([['other.jpg', '1']]) }, /attribute: expected values for images of \/unused, received none/],
    [
      { values: new Map([...masks].map(([path]) => [path, '1'])) },
      /pairs: expected at least 2 identities with images that differ so, received 0/,
    ],
    [
      { values: masks, between: ['0', '2'] as const },
      /between: expected two values of the attribute \(0, 1\), received 2/,
    ],
    [{ values: masks, between: ['0', '0'] as const }, /two values that differ/],
    [{ values: masks, between: ['0', '1'] as const, gap: 1 }, /expected one of them/],
    [{ values: ages, gap: 0 }, /gap: expected a number above 0/],
    [
      { values: new Map([...ages].map(([path, age]) => [path, `${age} years`])), gap: 30 },
      /gap: expected an attribute of numbers/,
    ],
    [
      { values: new Map([...ages.keys()].map((path, i) => [path, String(i / 7)])) },
      /expected at most 50 values .* received 240/,
    ],
    [{ values: masks, pairs: 4000 }, /same-identity pairs in each fold/],
    [{ values: masks, folds: 1 }, /at least 2 folds/],
  ])('refuses %#', (options, message) => {
    expect(() => makeAttributePairs(dataset, { pairs: 60, folds: 3, seed: 1, ...options })).toThrow(message);
  });
});

describe('readAttribute', () => {
  const read = (text: string, column = 'mask') => {
    const folder = temporaryFolder();
    put(folder, 'attributes.csv', text);
    return readAttribute(join(folder, 'attributes.csv'), column);
  };
  it('reads a column, also of quoted fields', async () => {
    expect(await read('\uFEFFid,mask,path\r\n1,0,"a,b/0.jpg"\r\n\r\n2,"1",c.jpg')).toEqual(
      new Map([
        ['a,b/0.jpg', '0'],
        ['c.jpg', '1'],
      ]),
    );
  });
  it.each([
    ['id,mask\n1,0\n', /path among them, received "id,mask"/],
    ['path,age\na,0\n', /expected a column of .*attributes\.csv \(age\), received mask/],
    ['path,mask\na,0\nb\n', /line 3: expected 2 fields as in the first line, received 1/],
    ['path,mask\n', /expected rows below/],
  ])('refuses %j', async (text, message) => {
    await expect(read(text)).rejects.toThrow(message);
  });
  it('names a file that is not there', async () => {
    await expect(readAttribute('/nowhere/a.csv', 'mask')).rejects.toThrow(
      /\/nowhere\/a\.csv: expected a readable table .* ENOENT; name it with --attributes/,
    );
  });
});

describe('hyperarc data pairs --attribute', () => {
  let root: string;
  beforeAll(() => {
    root = temporaryFolder();
    for (const { path } of dataset.samples.slice(0, 10 * images)) put(root, path, '');
    put(
      root,
      'attributes.csv',
      `path,mask,age\n${[...masks].map(([path, mask]) => `${path},${mask},${ages.get(path)}\n`).join('')}`,
    );
  });
  it('reads the attributes of the folder, or others', async () => {
    vi.spyOn(console, 'log').mockImplementation(() => {});
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const out = join(temporaryFolder(), 'pairs.txt');
    const base = ['data', 'pairs', root, '--output', out, '--pairs', '24', '--folds', '3'];
    expect(scanImageFolder(root).samples).toHaveLength(10 * images);
    expect(await main([...base, '--attribute', 'age', '--gap', '40'])).toBe(0);
    for (const { a, b } of await readPairs(out))
      expect(Number(ages.get(b)) - Number(ages.get(a))).toBeGreaterThanOrEqual(40);
    expect(warn).not.toHaveBeenCalled();
    rmSync(out);
    put(
      root,
      'other.csv',
      `path,worn\n${[...masks]
        .slice(0, 75)
        .map(([path, mask]) => `${path},${mask === '1' ? 'yes' : 'no'}\n`)
        .join('')}`,
    );
    expect(
      await main([...base, '--attribute', 'worn', '--attributes', join(root, 'other.csv'), '--between', 'yes,no']),
    ).toBe(0);
    for (const { a, b } of await readPairs(out)) expect([masks.get(a), masks.get(b)]).toEqual(['1', '0']);
    expect(warn).toHaveBeenCalledWith(expect.stringMatching(/warning: 5 of 80 images are not in/));
    rmSync(out);
    expect(await main([...base, '--between', 'yes,no'])).toBe(1);
    expect(await main([...base, '--attribute', 'age', '--between', '20'])).toBe(1);
    vi.restoreAllMocks();
  });
});
