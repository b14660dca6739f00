import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { BatchLoader, convertDataset, createImageLoader, loadImages, LocationReader, openDataset, scanImageFolder } from '../../../dist/data/index.js';
import type { Batch, ImageDataset } from '../../../dist/data/index.js';
import { ArrayFile, writeArrays } from '../../../dist/data/arrayFile.js';
import { encodeImageRecord } from '../../../dist/data/recordio/imageRecord.js';
import { encodeRecord } from '../../../dist/data/recordio/recordFile.js';
import { fingerprint, openDatasets } from '../../../dist/train/dataset.js';
import { picture, temporaryFolder } from '../fixtures.js';
import { damageArray } from '../damageArray.js';

const VECTORS = join(import.meta.dirname, 'vectors');
const SIZE = 16;

/** A RecordIO file of pictures with these labels; keys are 1, 2, … */
async function records(labels: readonly number[][], name = 'train.rec'): Promise<string> {
  const path = join(temporaryFolder(), name);
  const parts: Buffer[] = [];
  const index: string[] = [];
  let offset = 0;
  for (const [i, label] of labels.entries()) {
    const record = encodeRecord(encodeImageRecord(label, BigInt(i + 1), await picture(i, 24, (['jpeg', 'png', 'webp'] as const)[i % 3])));
    parts.push(record);
    index.push(`${i + 1}\t${offset}\n`);
    offset += record.length;
  }
  writeFileSync(path, Buffer.concat(parts));
  writeFileSync(path.replace(/rec$/, 'idx'), index.join(''));
  return path;
}

const tableOf = (path: string) => `${path}.hyperarc-index`;

async function batches(dataset: ImageDataset, count: number): Promise<Batch[]> {
  const loader = new BatchLoader({ dataset, batchSize: 4, imageSize: SIZE, seed: 5, workers: 1 });
  try {
    const result = [];
    for (let i = 0; i < count; i++) result.push(await loader.next());
    return result;
  } finally {
    await loader.close();
  }
}

describe('a RecordIO dataset', () => {
  // Labels out of order, far apart, and more than one in a header: the first counts.
  const LABELS = [[7], [3], [7, 99], [12], [3], [7], [12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [3]];
  let path: string;
  let dataset: ImageDataset;
  let folder: ImageDataset;
  beforeAll(async () => {
    path = await records(LABELS);
    dataset = await openDataset(path);
    const converted = join(temporaryFolder(), 'faces');
    await convertDataset(path, converted);
    folder = scanImageFolder(converted);
  });
  const namesOf = (set: ImageDataset) => Array.from(set.labels, (_, i) => set.nameOf(i));

  it('is that which its conversion to a folder is: identities, labels, names, order, contents', async () => {
    expect(dataset.identities).toEqual(['00000003', '00000007', '00000012']);
    expect(dataset.identities).toEqual(folder.identities);
    expect(dataset.labels).toEqual(folder.labels);
    expect(namesOf(dataset)).toEqual(namesOf(folder));
    expect(fingerprint(dataset)).toBe(fingerprint(folder));
    using reader = new LocationReader();
    for (let i = 0; i < LABELS.length; i++) {
      expect(await reader.read(dataset.locate(i))).toEqual(await reader.read(folder.locate(i)));
      expect(dataset.locateName(dataset.nameOf(i))).toEqual(dataset.locate(i));
    }
  });

  it('gives the batches that the folder gives, and the same images by name', async () => {
    expect(await batches(dataset, 5)).toEqual(await batches(folder, 5));
    const names = namesOf(dataset).reverse();
    const locate = (name: string) => dataset.locateName(name);
    expect(await loadImages(names, SIZE, { locate, workers: 1 })).toEqual(await loadImages(names, SIZE, { root: folder.root, workers: 1 }));
  });

  it('may have identities held out, of which a verification reads the images', async () => {
    const { train, heldOut } = await openDatasets({ data: { root: path, heldOut: 1 }, seed: 2 } as never);
    const other = await openDatasets({ data: { root: folder.root, heldOut: 1 }, seed: 2 } as never);
    for (const [mine, theirs] of [[train, other.train], [heldOut!, other.heldOut!]] as const) {
      expect(mine.identities).toEqual(theirs.identities);
      expect(mine.labels).toEqual(theirs.labels);
      expect(namesOf(mine)).toEqual(namesOf(theirs));
      expect(fingerprint(mine)).toBe(fingerprint(theirs));
    }
    expect(fingerprint(train)).not.toBe(fingerprint(dataset));
    const loader = createImageLoader({ locate: (name) => heldOut!.locateName(name), workers: 1 });
    try {
      expect(await loader.load(namesOf(heldOut!), SIZE)).toHaveLength(heldOut!.labels.length * SIZE * SIZE * 3);
    } finally {
      await loader.close();
    }
  });

  it('is found in the folder that InsightFace packs it in, with its header and identities', async () => {
    const work = temporaryFolder();
    for (const name of ['faces.rec', 'faces.idx']) cpSync(join(VECTORS, name), join(work, name));
    const found = await openDataset(work);
    expect(namesOf(found)).toEqual(['00000000/000000001.png', '00000000/000000002.png', '00000002/000000003.png', '00000002/000000004.png']);
    cpSync(join(work, 'faces.rec'), join(work, 'other.rec'));
    await expect(openDataset(work)).rejects.toThrow(/^E_FORMAT: dataset: expected one \.rec file, received 2 in .*; name one of them$/);
  });

  it('names an image that is not there', () => {
    for (const name of ['00000007/000000002.png', '00000003/000000002.jpg', 'nobody.jpg', '']) {
      expect(() => dataset.locateName(name)).toThrow(/^E_RANGE: .*train\.rec: expected the name of an image, received .*; images are named LABEL\/KEY\.jpg/);
    }
  });

  it('names the record of a damaged image, in batches too', async () => {
    const work = join(temporaryFolder(), 'train.rec');
    const image = (await picture(1)).subarray(0, 200);
    writeFileSync(work, encodeRecord(encodeImageRecord([4], 1n, image)));
    const damaged = await openDataset(work);
    const loader = new BatchLoader({ dataset: damaged, batchSize: 1, imageSize: SIZE, seed: 1, workers: 1 });
    await expect(loader.next()).rejects.toThrow(/train\.rec: record 0: expected a whole image, received a damaged one/);
    await loader.close();
  });

  it('wants whole numbers as labels and JPEG, PNG or WebP as images', async () => {
    await expect(openDataset(await records([[1], [0.5]]))).rejects.toThrow(/record 2: expected a whole number ≥ 0 as label, received 0.5/);
    const path = join(temporaryFolder(), 'train.rec');
    writeFileSync(path, encodeRecord(encodeImageRecord([1], 1n, Buffer.from('GIF89a..'))));
    await expect(openDataset(path)).rejects.toThrow(/record 0: expected a JPEG, PNG or WebP image, received GIF; convert it/);
    expect(existsSync(tableOf(path))).toBe(false);
  });
});

describe('the index of a RecordIO dataset', () => {
  const open = async (path: string) => {
    const lines: string[] = [];
    const dataset = await openDataset(path, { log: (line) => lines.push(line) });
    return { lines, identities: dataset.identities, labels: [...dataset.labels] };
  };

  it('is made once and says so, then opens without a look at the records', async () => {
    const path = await records([[2], [1], [2]]);
    utimesSync(path, 1000, 1000);
    const first = await open(path);
    expect(first.lines).toEqual([expect.stringMatching(/train\.rec: 3 images indexed in [\d.]+ s, kept in .*train\.rec\.hyperarc-index$/)]);
    // Other bytes, the same size and time: whoever looks at a record fails.
    writeFileSync(path, Buffer.alloc(statSync(path).size));
    utimesSync(path, 1000, 1000);
    expect(await open(path)).toEqual({ ...first, lines: [] });
  });

  it('is made again when the records or their .idx have changed, and when it is damaged', async () => {
    const path = await records([[2], [1], [2]]);
    const first = await open(path);
    utimesSync(path, 1000, 1000);
    const second = await open(path);
    expect(second.lines[0]).toMatch(/hyperarc-index is of another state of .*: making it again/);
    expect(second.labels).toEqual(first.labels);
    utimesSync(path.replace(/rec$/, 'idx'), 1000, 1000);
    expect((await open(path)).lines[0]).toMatch(/another state/);
    expect((await open(path)).lines).toEqual([]);
    truncateSync(tableOf(path), 100);
    expect((await open(path)).lines[0]).toMatch(/expected an index of HyperArc, received .*: making it again/);
    expect((await open(path)).lines).toEqual([]);
  });

  it('is not believed where labels and ends of classes, or lengths, cannot be', async () => {
    const path = await records([[2], [1], [2]]);
    const first = await open(path);
    const cases: [string, number, number][] = [
      ['classEnds', 0, 0], ['classEnds', 0, 3], ['classEnds', 1, 2], ['classEnds', 1, 4], ['labels', 0, 2], ['labels', 1, Infinity], ['labels', 0, 0.5],
      ['labels', 2, 5], ['keys', 3, 5], ['offsets', 3, 5], ['formats', 3, 0], ['classEnds', 2, 4],
    ];
    for (const [name, at, value] of cases) {
      damageArray(tableOf(path), name, at, value);
      const again = await open(path);
      expect(again.lines[0], `${name}[${at}] = ${value}`).toMatch(/rec\.hyperarc-index: expected an index of HyperArc, received damaged arrays: making it again/);
      expect(again.labels).toEqual(first.labels);
    }
    damageArray(tableOf(path), 'extra', 0, 1, Int32Array);
    expect((await open(path)).lines).toEqual([]);
    damageArray(tableOf(path), 'keys', 0, 1, Int32Array);
    expect((await open(path)).lines[0]).toMatch(/received i32 as keys \(f64\): making it again/);
  });

  it('is refused where an image is looked for at a place that cannot be', async () => {
    const path = await records([[2], [1], [2]]);
    await open(path);
    const damaged = async (name: string, value: number) => {
      rmSync(tableOf(path));
      await open(path);
      damageArray(tableOf(path), name, 1, value);
      return openDataset(path);
    };
    using reader = new LocationReader();
    const third = await reader.read((await openDataset(path)).locate(2));
    for (const offset of [1e9, -4, 0.5, NaN, 8]) {
      const dataset = await damaged('offsets', offset);
      await expect(reader.read(dataset.locate(1)), String(offset)).rejects.toThrow(/^E_FORMAT: .*train\.rec: expected .* at byte .*, received .*; the file is damaged or its index is another file's$/);
      expect(await reader.read(dataset.locate(2)), String(offset)).toEqual(third);
    }
    const dataset = await damaged('formats', 3);
    expect(() => dataset.nameOf(1)).toThrow(/^E_FORMAT: .*train\.rec\.hyperarc-index: expected an index of HyperArc, received damage; remove it, and it is made again$/);
  });

  it('stays the one that was opened while another takes its place', async () => {
    const path = await records([[2], [1], [2]]);
    await open(path);
    const dataset = await openDataset(path);
    const names = [...dataset.labels].map((_, i) => dataset.nameOf(i));
    damageArray(tableOf(path), 'keys', 0, 77);
    expect([...dataset.labels].map((_, i) => dataset.nameOf(i))).toEqual(names);
  });

  it('may be kept from being written, which is said', async () => {
    const path = await records([[2], [1]]);
    // A folder of that name stands in the way, for root too.
    mkdirSync(tableOf(path));
    const { labels, lines } = await open(path);
    expect(labels).toEqual([0, 1]);
    expect(lines[1]).toMatch(/train\.rec: the index of its images cannot be kept and is made anew each time: EISDIR/);
    expect(readdirSync(join(path, '..')).sort()).toEqual(['train.idx', 'train.rec', 'train.rec.hyperarc-index']);
  });

  it('ends when it is told to, and leaves nothing', async () => {
    const path = join(temporaryFolder(), 'train.rec');
    const one = encodeRecord(encodeImageRecord([1], 1n, Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0])));
    writeFileSync(path, Buffer.concat(Array.from({ length: 40_000 }, () => one)));
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    await expect(openDataset(path, { signal: stop.signal })).rejects.toThrow('enough');
    expect(readdirSync(join(path, '..'))).toEqual(['train.rec']);
  });

  it('gives every number of a column, whatever the order they are asked in', () => {
    const path = join(temporaryFolder(), 'a');
    const count = 3000;
    const arrays = {
      f: Float64Array.from({ length: count }, (_, i) => i / 3 - 7),
      u: Uint32Array.from({ length: count }, (_, i) => i * 1_000_003),
      i: Int32Array.from({ length: count }, (_, i) => i * 700_001 - 2 ** 30),
      b: Uint8Array.from({ length: count }, (_, i) => i),
    };
    writeArrays(path, {}, arrays);
    const file = new ArrayFile(path);
    const types = { f: 'f64', u: 'u32', i: 'i32', b: 'u8' } as const;
    for (const name of ['f', 'u', 'i', 'b'] as const) {
      const column = file.column(name, types[name]);
      expect(column.length).toBe(count);
      for (const step of [1, 2999, 1543, 7]) {
        for (let n = 0; n < count; n++) {
          const i = (n * step) % count;
          if (column.at(i) !== arrays[name][i]) expect.fail(`${name}[${i}]: ${column.at(i)} instead of ${arrays[name][i]}`);
        }
      }
    }
  });

  it('survives any change of its bytes', () => {
    const path = join(temporaryFolder(), 'a');
    writeArrays(path, { of: 1 }, { a: Float64Array.of(1, 2, 3), b: Uint8Array.of(1, 2, 3), c: new Int32Array(0) });
    const whole = readFileSync(path);
    const file = new ArrayFile(path);
    expect(file.names).toEqual(['a', 'b', 'c']);
    expect(file.load('a', 'f64')).toEqual(Float64Array.of(1, 2, 3));
    expect(file.load('c', 'i32')).toEqual(new Int32Array(0));
    expect([-1, 0, 1, 2, 3].map(file.column('a', 'f64').at)).toEqual([undefined, 1, 2, 3, undefined]);
    expect([...file.bytes('b').subarray(1, 3)]).toEqual([2, 3]);
    expect(() => file.bytes('b').subarray(1, 4)).toThrow(/^E_FORMAT: .*a: expected an index of HyperArc, received a part from 1 to 4 of b$/);
    expect(() => file.load('d', 'f64')).toThrow(/received none as d \(f64\)$/);
    const header = whole.indexOf('}]}') + 3;
    for (let at = 0; at < header; at++) {
      for (const value of [0, 0x22, 0x39, 0x7b, 0xff]) {
        const bytes = Buffer.from(whole);
        bytes[at] = value;
        writeFileSync(path, bytes);
        try {
          new ArrayFile(path);
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_FORMAT' });
        }
      }
    }
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      expect(() => new ArrayFile(path)).toThrow(/^E_FORMAT/);
    }
  });
});
