import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { loadImages, makePairs, scanImageFolder } from '../../dist/data/index.js';
import { drawIdentity } from '../../dist/synth/identity.js';
import { writeContactSheet, writeSynthDataset } from '../../dist/synth/index.js';
import { temporaryFolder } from '../data/fixtures.js';

const parameters = { identities: 4, samples: 3, seed: 11, size: 48 };
const newFolder = () => join(temporaryFolder(), 'faces');

/** Every file below a folder with its contents. */
function contents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return new Map(paths.map((path) => [path.slice(folder.length), readFileSync(path, 'base64')]));
}

describe('writeSynthDataset', () => {
  it('writes an image folder with attributes and a manifest', async () => {
    const out = newFolder();
    const seen: number[] = [];
    const result = await writeSynthDataset({ ...parameters, out, onProgress: (images) => seen.push(images) });
    expect(result).toMatchObject({ status: 'written', images: 12 });
    expect(seen).toEqual([3, 6, 9, 12]);
    const dataset = scanImageFolder(out);
    expect(dataset.identities).toEqual(['id_00000', 'id_00001', 'id_00002', 'id_00003']);
    expect(await sharp(join(out, 'id_00003/0002.jpg')).metadata()).toMatchObject({
      width: 48,
      height: 48,
      format: 'jpeg',
      channels: 3,
    });
    const [header, ...rows] = readFileSync(join(out, 'attributes.csv'), 'utf8').trimEnd().split('\n');
    expect(rows.map((row) => row.split(',')[0])).toEqual(dataset.samples.map(({ path }) => path));
    for (const row of rows) expect(row.split(',')).toHaveLength(header!.split(',').length);
    expect(JSON.parse(readFileSync(join(out, 'synth.json'), 'utf8'))).toMatchObject({
      kind: 'hyperarc-synth',
      ...parameters,
    });
    expect(readdirSync(dirname(out))).toEqual(['faces']);
  });

  it('writes the same bytes with any number of threads, and others for another seed', async () => {
    const [one, three, other] = [newFolder(), newFolder(), newFolder()];
    await writeSynthDataset({ ...parameters, out: one, workers: 1 });
    await writeSynthDataset({ ...parameters, out: three, workers: 3 });
    await writeSynthDataset({ ...parameters, out: other, seed: 12 });
    expect(contents(three)).toEqual(contents(one));
    expect(contents(other).get('/id_00000/0000.jpg')).not.toBe(contents(one).get('/id_00000/0000.jpg'));
  });

  it('gives a larger dataset the same people', async () => {
    const [small, large] = [newFolder(), newFolder()];
    await writeSynthDataset({ ...parameters, out: small });
    await writeSynthDataset({ ...parameters, identities: 6, samples: 4, out: large });
    expect(contents(large).get('/id_00003/0002.jpg')).toBe(contents(small).get('/id_00003/0002.jpg'));
  });

  it('leaves a complete dataset alone and refuses anything else', async () => {
    const out = newFolder();
    mkdirSync(out);
    await writeSynthDataset({ ...parameters, out });
    const before = contents(out);
    expect(await writeSynthDataset({ ...parameters, out })).toMatchObject({ status: 'already there', images: 12 });
    await expect(writeSynthDataset({ ...parameters, seed: 2, out })).rejects.toMatchObject({ code: 'E_FORMAT' });
    expect(contents(out)).toEqual(before);
    rmSync(join(out, 'id_00002/0001.jpg'));
    await expect(writeSynthDataset({ ...parameters, out })).rejects.toThrow(/2 of 3 images in id_00002/);
    const notes = newFolder();
    mkdirSync(notes);
    writeFileSync(join(notes, 'notes.txt'), 'mine');
    await expect(writeSynthDataset({ ...parameters, out: notes })).rejects.toMatchObject({ code: 'E_FORMAT' });
    expect(readdirSync(notes)).toEqual(['notes.txt']);
    await expect(writeSynthDataset({ ...parameters, out: join(notes, 'notes.txt') })).rejects.toMatchObject({
      code: 'E_FORMAT',
    });
  });

  it('leaves nothing behind when it is interrupted', async () => {
    const out = newFolder();
    const interrupt = new AbortController();
    const work = writeSynthDataset({
      ...parameters,
      identities: 200,
      out,
      workers: 2,
      signal: interrupt.signal,
      onProgress: () => interrupt.abort(new Error('stop')),
    });
    await expect(work).rejects.toThrow('stop');
    expect(existsSync(out)).toBe(false);
    expect(readdirSync(dirname(out)).filter((name) => name.includes(basename(out)))).toEqual([]);
  });

  it.each([
    ['identities', 0],
    ['samples', 1.5],
    ['seed', -1],
    ['size', 8],
    ['workers', 0],
  ])('refuses %s %d before it writes', async (name, value) => {
    const out = newFolder();
    await expect(writeSynthDataset({ ...parameters, out, [name]: value })).rejects.toMatchObject({
      code: 'E_RANGE',
      message: expect.stringContaining(name),
    });
    expect(readdirSync(dirname(out))).toEqual([]);
  });
});

describe('synthetic faces', () => {
  it('are different people: no two identities are near each other in every trait', () => {
    const people = Array.from({ length: 300 }, (_, identity) => Object.values(drawIdentity(1, identity).traits));
    const spread = people[0]!.map(
      (_, t) => Math.max(...people.map((person) => person[t]!)) - Math.min(...people.map((person) => person[t]!)),
    );
    let nearest = Infinity;
    for (let i = 0; i < people.length; i++) {
      for (let j = 0; j < i; j++) {
        const apart =
          people[i]!.reduce((sum, value, t) => sum + Math.abs(value - people[j]![t]!) / spread[t]!, 0) / spread.length;
        nearest = Math.min(nearest, apart);
      }
    }
    expect(nearest).toBeGreaterThan(0.15);
  });

  it('are too hard for raw pixels: at most 75% verification accuracy at the best threshold', async () => {
    const out = newFolder();
    await writeSynthDataset({ identities: 40, samples: 8, seed: 5, size: 56, out });
    const dataset = scanImageFolder(out);
    const pixels = await loadImages(
      dataset.samples.map(({ path }) => path),
      56,
      { root: out },
    );
    const length = 56 * 56 * 3;
    const row = new Map(dataset.samples.map(({ path }, i) => [path, pixels.subarray(i * length, (i + 1) * length)]));
    const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    const scored = makePairs(dataset, { pairs: 800, seed: 1 }).map(({ a, b, same }) => {
      const [x, y] = [row.get(a)!, row.get(b)!];
      return { same, cosine: dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y)) };
    });
    // Better than any honest protocol: the threshold is chosen on the pairs it is judged on.
    scored.sort((a, b) => b.cosine - a.cosine);
    let right = scored.filter(({ same }) => !same).length;
    let best = right;
    for (const { same } of scored) best = Math.max(best, (right += same ? 1 : -1));
    expect(best / scored.length).toBeLessThanOrEqual(0.75);
    expect(best / scored.length).toBeGreaterThan(0.5);
  });
});

describe('writeContactSheet', () => {
  it('draws rows of identities and columns of samples', async () => {
    const out = newFolder();
    await writeSynthDataset({ ...parameters, out });
    const file = join(dirname(out), 'sheets', 'sheet.png');
    await writeContactSheet({ dataset: out, file, rows: 3, columns: 2, cell: 40 });
    expect(await sharp(file).metadata()).toMatchObject({ width: 80, height: 120, format: 'png' });
    expect(readdirSync(dirname(file))).toEqual(['sheet.png']);
    await expect(writeContactSheet({ dataset: out, file: 'sheet.gif' })).rejects.toMatchObject({ code: 'E_FORMAT' });
    await expect(writeContactSheet({ dataset: out, file })).rejects.toMatchObject({ code: 'E_RANGE' });
    const other = join(dirname(out), 'other.png');
    await expect(writeContactSheet({ dataset: dirname(file), file: other })).rejects.toMatchObject({
      code: 'E_FORMAT',
    });
  });
});
