import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { describe, expect, it } from 'vitest';
import { LocationReader, loadImages, openDataset, type ImageDataset } from '../../../dist/data/index.js';
import { damageArray } from '../damageArray.js';
import { shardsOf } from '../../../dist/data/shards/shardDataset.js';
import { TAR_END, tarHeader, tarMembers, tarPadding } from '../../../dist/data/shards/tar.js';
import { picture, temporaryFolder } from '../fixtures.js';

type Members = readonly (readonly [string, Uint8Array | string])[];

function python(path: string, format: 'ustar' | 'gnu' | 'pax', members: Members, global = {}): void {
  const input = JSON.stringify({ path, format, global, members: members.map(([name, bytes]) => [name, Buffer.from(bytes).toString('hex')]) });
  execFileSync('python3', [join(import.meta.dirname, 'make_shard.py')], { input });
}

/** A shard of our own making, for tests of what members mean. */
function shard(folder: string, members: Members, name = 'a.tar'): string {
  const parts = members.flatMap(([member, contents]) => {
    const bytes = Buffer.from(contents);
    return [tarHeader(member, bytes.length), bytes, tarPadding(bytes.length)];
  });
  writeFileSync(join(folder, name), Buffer.concat([...parts, TAR_END]));
  return join(folder, name);
}

const namesOf = (dataset: ImageDataset) => Array.from(dataset.labels, (label, i) => [dataset.nameOf(i), dataset.identities[label]]);
const open = async (members: Members) => openDataset(shard(temporaryFolder(), members));

describe('tarMembers', () => {
  const deep = `${'folder/'.repeat(12)}${'n'.repeat(60)}.jpg`;
  const longest = `${'d'.repeat(120)}/${'n'.repeat(120)}.jpg`;

  it.each(['ustar', 'gnu', 'pax'] as const)('finds what Python packed, in %s', (format) => {
    const path = join(temporaryFolder(), 'a.tar');
    const names = ['a.jpg', 'folder/', 'folder/b.jpg', deep, ...(format === 'ustar' ? [] : [longest, 'ünï/çode.jpg'])];
    const members: Members = names.map((name, i) => [name, 'x'.repeat([0, 0, 511, 512, 513, 1][i]!)]);
    python(path, format, members, format === 'pax' ? { comment: 'for all' } : {});
    const whole = readFileSync(path);
    const found = [...tarMembers(path)].map(({ name, offset, bytes }) => [name, whole.toString('utf8', offset, offset + bytes)]);
    expect(found).toEqual(members.filter(([name]) => !name.endsWith('/')));
  });

  it('refuses a name that a header cannot hold, and splits one that it can', () => {
    expect(() => tarHeader(`${'d'.repeat(156)}/a`, 1)).toThrow(/^E_RANGE: name/);
    expect(() => tarHeader('n'.repeat(101), 1)).toThrow(/^E_RANGE: name/);
    const path = shard(temporaryFolder(), [[deep, 'x']]);
    expect([...tarMembers(path)].map(({ name }) => name)).toEqual([deep]);
  });

  it('reads sizes of more than 8 GiB as GNU writes them, and refuses one that does not end in the file', () => {
    const header = tarHeader('a.jpg', 0);
    header.fill(0, 124, 136);
    header[124] = 0x80;
    header[131] = 1; // 2³² bytes
    header.write(`${header.reduce((sum, byte, i) => sum + (i < 148 || i >= 156 ? byte : 32), 0).toString(8).padStart(6, '0')}\0 `, 148);
    const path = join(temporaryFolder(), 'a.tar');
    writeFileSync(path, Buffer.concat([header, TAR_END]));
    expect(() => [...tarMembers(path)]).toThrow(/expected the size of a member that ends in the file at byte 0, received 4294967296; the file is cut short/);
  });

  it.each<[string, (path: string) => void, RegExp]>([
    ['no file', () => {}, /expected a readable tar file, received ENOENT/],
    ['an empty one', (path) => writeFileSync(path, ''), /expected 512 bytes more, or two empty blocks at byte 0, received the end of the file/],
    ['one without members', (path) => writeFileSync(path, TAR_END), /expected a member at byte 0, received none/],
    ['a compressed one', (path) => writeFileSync(path, Buffer.alloc(1024, 0x1f)), /expected a header of tar at byte 0, received other contents; the file is cut short, damaged or compressed/],
    ['one that was cut between members', (path) => truncateSync(shard(join(path, '..'), [['a.jpg', 'x'], ['b.jpg', 'x']]), 2048), /at byte 2048, received the end of the file/],
    ['one that was cut in a member', (path) => truncateSync(shard(join(path, '..'), [['a.jpg', 'x'.repeat(600)]]), 1000), /member that ends in the file at byte 0/],
  ])('refuses %s', (_, make, message) => {
    const path = join(temporaryFolder(), 'a.tar');
    make(path);
    expect(() => [...tarMembers(path)]).toThrow(message);
  });

  it('answers any damage, 10,000 times, with members within the file or with E_FORMAT', { timeout: 240_000 }, () => {
    const path = join(temporaryFolder(), 'a.tar');
    python(path, 'pax', [[longest, 'x'.repeat(100)], ['b.jpg', 'y'], ['b.cls', '3']]);
    const whole = readFileSync(path).subarray(0, 7 * 1024);
    let state = 1;
    const below = (n: number) => Math.floor(((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32) * n);
    let refused = 0;
    for (let i = 0; i < 10_000; i++) {
      const bytes = Buffer.from(whole);
      for (let flips = 1 + below(3); flips > 0; flips--) bytes[below(bytes.length)]! ^= 1 << below(8);
      const cut = below(5) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes;
      writeFileSync(path, cut);
      try {
        for (const { offset, bytes } of tarMembers(path)) if (offset + bytes > cut.length) throw new Error('a member beyond the file');
      } catch (error) {
        if (!(error instanceof HyperArcError) || error.code !== 'E_FORMAT') throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(2000);
    expect(refused).toBeLessThan(10_000);
  });
});

describe('a dataset of shards', () => {
  it('takes labels from .cls, in the order of their numbers, whatever the order and the folders of members', async () => {
    const dataset = await open([['b/0001.cls', '10\n'], ['b/0001.jpg', 'x'], ['b/0002.jpg', 'y'], ['b/0002.json', '{}'], ['b/0002.cls', '9'], ['a/3.png', 'z'], ['a/3.cls', '10']]);
    expect(namesOf(dataset)).toEqual([['b/0002.jpg', '9'], ['a/3.png', '10'], ['b/0001.jpg', '10']]);
    using reader = new LocationReader();
    expect((await reader.read(dataset.locateName('b/0002.jpg'))).toString()).toBe('y');
    expect(() => dataset.locateName('b/0003.jpg')).toThrow(/^E_RANGE: .*expected the name of an image in its shards/);
  });

  it('takes folders for identities without .cls, and where both say the same', async () => {
    expect(namesOf(await open([['./f/zoe/1.jpg', ''], ['f/anna/1.a.jpg', ''], ['f/anna/1.b.jpg', '']]))).toEqual([['f/anna/1.a.jpg', 'anna'], ['f/anna/1.b.jpg', 'anna'], ['f/zoe/1.jpg', 'zoe']]);
    expect(namesOf(await open([['zoe/1.jpg', ''], ['zoe/1.cls', '1'], ['anna/1.jpg', ''], ['anna/1.cls', '0']]))).toEqual([['anna/1.jpg', 'anna'], ['zoe/1.jpg', 'zoe']]);
  });

  it('is all the tar files of a folder, in which names may come again', async () => {
    const folder = temporaryFolder();
    const pictures = await Promise.all([1, 2].map((number) => picture(number)));
    for (const [i, bytes] of pictures.entries()) shard(folder, [['0.jpg', bytes], ['0.cls', String(1 - i)]], `s${i}.tar`);
    const dataset = await openDataset(folder);
    expect(shardsOf(folder)).toEqual([join(folder, 's0.tar'), join(folder, 's1.tar')]);
    expect(namesOf(dataset)).toEqual([['s1.tar/0.jpg', '0'], ['s0.tar/0.jpg', '1']]);
    const locate = (name: string) => dataset.locateName(name);
    const loaded = await loadImages(['s0.tar/0.jpg', 's1.tar/0.jpg'], 8, { locate, workers: 1 });
    for (const [i, bytes] of pictures.entries()) writeFileSync(join(folder, `${i}.jpg`), bytes);
    expect(loaded).toEqual(await loadImages(['0.jpg', '1.jpg'], 8, { root: folder, workers: 1 }));
  });

  it.each<[Members, RegExp]>([
    [[['a.jpg', ''], ['a.cls', '1'], ['b.jpg', '']], /expected a \.cls member for each image or none, received one for a\.jpg and none for b\.jpg/],
    [[['a.jpg', '']], /expected a \.cls member or a folder that says whose image it is, neither for a\.jpg/],
    [[['a.jpg', ''], ['a.png', ''], ['a.cls', '1']], /a\.png: expected one image a sample .* received another beside a\.jpg/],
    [[['a.txt', 'x']], /expected images in its shards, received none/],
    [[['../a.jpg', '']], /a\.tar: \.\.\/a\.jpg: expected a name below the shard/],
    [[['/b/a.jpg', '']], /expected a name below the shard/],
    [[['b/a.jpg', ''], ['b/a.cls', 'x'.repeat(300)]], /b\/a\.cls: expected a label of at most 256 bytes/],
    [[['b/a.jpg', ''], ['b/a.cls', 'a/b']], /expected a label/],
    [[['b/a.jpg', ''], ['b/a.cls', ' \n']], /expected a label/],
  ])('refuses %j', async (members, message) => {
    await expect(open(members)).rejects.toThrow(message);
  });

  it('keeps an index, and does not believe one that points outside', async () => {
    const path = shard(temporaryFolder(), [['zoe/1.jpg', 'x'], ['anna/1.jpg', 'y']]);
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const first = namesOf(await openDataset(path, { log }));
    expect(lines.splice(0)).toEqual([expect.stringMatching(/a\.tar: 2 images indexed in .* kept in .*a\.tar\.hyperarc-index/)]);
    expect(namesOf(await openDataset(path, { log }))).toEqual(first);
    expect(lines.splice(0)).toEqual([]);
    const index = `${path}.hyperarc-index`;
    const cases: [string, number, number][] = [
      ['classEnds', 0, 0], ['classEnds', 1, 3], ['identityEnds', 0, -1], ['identityEnds', 1, 99], ['identityBytes', 20, 1], ['nameEnds', 2, 99], ['sizes', 2, 1],
    ];
    for (const [name, at, value] of cases) {
      damageArray(index, name, at, value);
      expect(namesOf(await openDataset(path, { log })), name).toEqual(first);
      expect(lines.splice(0)[0], name).toMatch(/a\.tar\.hyperarc-index: expected an index of HyperArc, received damaged arrays: making it again/);
    }
    const whole = readFileSync(index);
    const places: [string, number][] = [['offsets', -1], ['offsets', 0.5], ['sizes', 0.5], ['shards', 1]];
    for (const [name, value] of places) {
      damageArray(index, name, 0, value);
      const dataset = await openDataset(path, { log });
      expect(() => dataset.locate(0), name).toThrow(/^E_FORMAT: .*a\.tar\.hyperarc-index: expected an index of HyperArc, received damage; remove it, and it is made again$/);
      expect(dataset.locate(1), name).toMatchObject({ name: 'zoe/1.jpg' });
      writeFileSync(index, whole);
    }
    const ends: [number, number][] = [[0, 99], [0, -1], [1, 3], [0, NaN]];
    for (const [at, value] of ends) {
      damageArray(index, 'nameEnds', at, value);
      const dataset = await openDataset(path, { log });
      expect(() => namesOf(dataset), `${at}`).toThrow(/^E_FORMAT: .*hyperarc-index: expected an index of HyperArc, received a part from/);
      writeFileSync(index, whole);
    }
    damageArray(index, 'offsets', 0, 1e9);
    using reader = new LocationReader();
    await expect(reader.read((await openDataset(path)).locate(0))).rejects.toThrow(/a\.tar: expected 1 bytes of anna\/1\.jpg, received the end of the file/);
  });

  it('says that a shard was cut short after it was indexed', async () => {
    const path = shard(temporaryFolder(), [['zoe/1.jpg', 'x'.repeat(600)]]);
    const dataset = await openDataset(path);
    truncateSync(path, 700);
    using reader = new LocationReader();
    await expect(reader.read(dataset.locate(0))).rejects.toThrow(/a\.tar: expected 600 bytes of zoe\/1\.jpg, received the end of the file/);
  });
});
