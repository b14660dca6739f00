import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { main } from '../../dist/cli/main.js';
import { convertDataset, LocationReader, openDataset } from '../../dist/data/index.js';
import { encodeImageRecord } from '../../dist/data/recordio/imageRecord.js';
import { encodeRecord } from '../../dist/data/recordio/recordFile.js';
import { fingerprint } from '../../dist/train/dataset.js';
import { imageFolder, picture, put, temporaryFolder } from './fixtures.js';

const VECTORS = join(import.meta.dirname, 'recordio', 'vectors');
const image = (number: number) => readFileSync(join(VECTORS, `${number}.png`));

/** A copy, beside which an index may be put. */
function records(): string {
  const folder = temporaryFolder();
  for (const name of ['faces.rec', 'faces.idx']) cpSync(join(VECTORS, name), join(folder, name));
  return join(folder, 'faces.rec');
}

const filesBelow = (folder: string): Record<string, Buffer> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(folder.length + 1), readFileSync(path)]),
  );

describe('conversion', () => {
  it('to a folder keeps every image byte for byte', async () => {
    const to = join(temporaryFolder(), 'faces');
    expect(await convertDataset(records(), to)).toEqual({ images: 4, identities: 2 });
    expect(filesBelow(to)).toEqual({
      '00000000/000000001.png': image(1),
      '00000000/000000002.png': image(2),
      '00000002/000000003.png': image(3),
      '00000002/000000004.png': image(4),
    });
  });

  it('there and back gives the same bytes, and so does once more', async () => {
    const [from, work] = [await imageFolder(3, 4), temporaryFolder()];
    const records = join(work, 'records', 'train.rec');
    expect(await convertDataset(from, records)).toEqual({ images: 12, identities: 3 });
    expect(readdirSync(join(work, 'records')).sort()).toEqual(['property', 'train.idx', 'train.lst', 'train.rec']);
    expect(readFileSync(join(work, 'records', 'property'), 'utf8')).toBe('3,24,24\n');
    expect(readFileSync(join(work, 'records', 'train.lst'), 'utf8').split('\n')[4]).toBe('5\t1\tperson_1/0.jpg');
    await convertDataset(records, join(work, 'folder'));
    expect(Object.values(filesBelow(join(work, 'folder')))).toEqual(Object.values(filesBelow(from)));
    await convertDataset(join(work, 'folder'), join(work, 'again', 'train.rec'));
    for (const name of ['train.rec', 'train.idx', 'property']) {
      expect(readFileSync(join(work, 'again', name))).toEqual(readFileSync(join(work, 'records', name)));
    }
    expect(readdirSync(work).sort()).toEqual(['again', 'folder', 'records']);
    expect(readdirSync(join(work, 'records'))).toContain('train.rec.hyperarc-index');
  });

  it('leaves nothing behind that failed or was stopped', async () => {
    const [from, work] = [records(), temporaryFolder()];
    const broken = readFileSync(from);
    broken.write('XXXX', 440 + 8 + 24 + 8, 'latin1');
    writeFileSync(from, broken);
    await expect(convertDataset(from, join(work, 'a'))).rejects.toThrow(
      /record 4: expected a JPEG, PNG or WebP image/,
    );
    const mixed = await imageFolder(2, 2);
    put(mixed, 'person_1/9.jpg', await picture(9, 32));
    await expect(convertDataset(mixed, join(work, 'b', 'a.rec'))).rejects.toThrow(
      /person_1\/9\.jpg: expected 24,24 pixels .* received 32,32/,
    );
    put(mixed, 'person_1/9.jpg', 'no image');
    await expect(convertDataset(mixed, join(work, 'b', 'a.rec'))).rejects.toThrow(
      /^E_FORMAT: .*person_1\/9\.jpg: expected a JPEG, PNG or WebP/,
    );
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(convertDataset(await imageFolder(1, 2), join(work, 'c', 'a.rec'), { signal })).rejects.toThrow(
      'stopped',
    );
    expect(readdirSync(work)).toEqual([]);
    await expect(convertDataset(records(), work)).rejects.toThrow(
      /^E_RANGE: to: expected a folder that is not there yet/,
    );
    await expect(convertDataset(records(), join(work, 'a.tar'))).rejects.toThrow(
      `E_RANGE: to: expected NEW/a.tar in a folder that is not there yet, received ${work}`,
    );
  });

  it('says when labels are too large to be told apart', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'a.rec'), encodeRecord(encodeImageRecord([2 ** 24 + 2], 0n, image(1))));
    writeFileSync(join(folder, 'a.idx'), '0\t0\n');
    const warnings: string[] = [];
    await convertDataset(join(folder, 'a.rec'), join(folder, 'out'), {
      log: (message) => warnings.push(message),
    });
    expect(warnings).toContainEqual(expect.stringMatching(/label 16777218 is above 2\^24/));
  });

  it('to shards and back keeps names, identities and every byte; Python reads them', async () => {
    const [from, work] = [await imageFolder(3, 4), temporaryFolder()];
    put(from, 'person_0/with.dots.jpg', await picture(50));
    const result = await convertDataset(from, join(work, 'shards', 'faces.tar'), { shardBytes: 10_000 });
    expect(result).toEqual({ images: 13, identities: 3 });
    const shards = readdirSync(join(work, 'shards'));
    expect(shards.length).toBeGreaterThan(2);
    expect(shards).toEqual(shards.map((_, i) => `faces-0000${i}.tar`));
    for (const shard of shards) expect(readFileSync(join(work, 'shards', shard)).length).toBeLessThanOrEqual(10_000);
    const listing = execFileSync('python3', [join(import.meta.dirname, 'shards', 'list_shards.py'), ...shards.map((shard) => join(work, 'shards', shard))]);
    const members = JSON.parse(listing.toString()) as [string, string][];
    const folder = Object.entries(filesBelow(from));
    expect(members.filter(([name]) => !name.endsWith('.cls')).map(([name, hex]) => [name.replace('with_dots', 'with.dots'), hex])).toEqual(
      folder.map(([name, bytes]) => [name, bytes.toString('hex')]),
    );
    expect(members.filter(([name]) => name.endsWith('.cls')).map(([name, hex]) => [name[7], Buffer.from(hex, 'hex').toString()])).toEqual(
      folder.map(([name]) => [name[7], name[7]]),
    );
    await convertDataset(join(work, 'shards'), join(work, 'back'));
    const back = filesBelow(join(work, 'back'));
    expect(Object.values(back)).toEqual(Object.values(filesBelow(from)));
    expect(Object.keys(back)).toEqual(folder.map(([name]) => name.replace('with.dots', 'with_dots')));
    // A run may go on with shards of its folder.
    expect(fingerprint(await openDataset(join(work, 'shards')))).toBe(fingerprint(await openDataset(join(work, 'back'))));
  });

  it('of a list, whose names may be the same, gives each image a name of its own', async () => {
    const [from, work] = [await imageFolder(2, 2), temporaryFolder()];
    put(from, 'list.csv', 'path,label\nperson_0/0.jpg,anna\nperson_1/0.jpg,anna\nperson_0/1.jpg,ben\n');
    await convertDataset(join(from, 'list.csv'), join(work, 'faces'));
    expect(Object.keys(filesBelow(join(work, 'faces')))).toEqual(['anna/0.jpg', 'anna/000000001-0.jpg', 'ben/1.jpg']);
    await convertDataset(join(from, 'list.csv'), join(work, 'shards', 'a.tar'));
    const dataset = await openDataset(join(work, 'shards'));
    expect(dataset.identities).toEqual(['anna', 'ben']);
    using reader = new LocationReader();
    expect(await reader.read(dataset.locateName('anna/000000001-0.jpg'))).toEqual(readFileSync(join(from, 'person_1', '0.jpg')));
  });

  it.each(['a.zip', 'a.parquet', 'new/train.tar.gz', 'train.LST'])('refuses to write %s', async (name) => {
    const work = temporaryFolder();
    const to = join(work, name);
    const ending = name.slice(name.lastIndexOf('.'));
    await expect(convertDataset(records(), to)).rejects.toThrow(
      `E_RANGE: to: expected a folder, NEW/NAME.rec or NEW/NAME.tar, received ${to}; ${ending} is not written`,
    );
    expect(readdirSync(work)).toEqual([]);
  });

  it('refuses names that the form cannot hold', async () => {
    const [from, work] = [await imageFolder(1, 1), temporaryFolder()];
    put(from, 'hidden.txt', 'person_0/0.jpg .hidden\n');
    await expect(convertDataset(join(from, 'hidden.txt'), join(work, 'a'))).rejects.toThrow(/^E_RANGE: identities: expected names that a folder can have .* received "\.hidden"$/);
    put(from, 'long.txt', `person_0/0.jpg ${'n'.repeat(200)}\n`);
    await expect(convertDataset(join(from, 'long.txt'), join(work, 'a', 'a.tar'))).rejects.toThrow(/^E_RANGE: name: expected one that fits a tar header/);
    await expect(convertDataset(from, join(work, 'a', 'a.tar'), { shardBytes: 0 })).rejects.toThrow(/^E_RANGE: shardBytes/);
    expect(readdirSync(work)).toEqual([]);
  });

  it('is a command', async () => {
    const work = temporaryFolder();
    expect(await main(['data', 'convert', records(), join(work, 'faces')])).toBe(0);
    expect(readdirSync(join(work, 'faces'))).toEqual(['00000000', '00000002']);
    expect(await main(['data', 'convert', join(work, 'faces'), join(work, 'records', 'a.rec')])).toBe(0);
    expect(await main(['data', 'convert', join(work, 'records'), join(work, 'shards', 'a.tar'), '--shard-size', '1'])).toBe(0);
    expect(readdirSync(join(work, 'shards'))).toEqual(['a-00000.tar']);
    expect(await main(['data', 'convert', join(work, 'none'), join(work, 'b')])).toBe(1);
    expect(await main(['data', 'convert', join(work, 'faces'), work])).toBe(1);
  });
});
