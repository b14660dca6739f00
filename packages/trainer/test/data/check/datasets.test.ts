import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { main } from '../../../dist/cli/main.js';
import { formatReport } from '../../../dist/cli/commands/data.js';
import { findDuplicates } from '../../../dist/data/check/duplicates.js';
import { inspectImages, STATE } from '../../../dist/data/check/inspectImages.js';
import { checkDataset, convertDataset, KeyedRandom } from '../../../dist/data/index.js';
import { encodeImageRecord } from '../../../dist/data/recordio/imageRecord.js';
import { encodeRecord } from '../../../dist/data/recordio/recordFile.js';
import { writeSynthDataset } from '../../../dist/synth/index.js';
import { put, temporaryFolder } from '../fixtures.js';

/** A picture of blobs that no other number resembles. */
function blobs(number: number, encode = (picture: Sharp) => picture.png()): Promise<Buffer> {
  const random = new KeyedRandom(number, 77);
  const shapes = Array.from({ length: 12 }, () => {
    const [x, y, r] = [random.uniform(0, 64), random.uniform(0, 64), random.uniform(4, 18)];
    return `<circle cx="${x}" cy="${y}" r="${r}" fill="hsl(${random.integer(360)},60%,${random.integer(100)}%)"/>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="#777"/>${shapes.join('')}</svg>`;
  return encode(sharp(Buffer.from(svg))).toBuffer();
}
const recompressed = (number: number) => blobs(number, (picture) => picture.resize(50, 50).jpeg({ quality: 60 }));

/** `.rec` of images with an index and no header. */
function records(images: readonly (readonly [label: number, image: Buffer])[]): string {
  const file = join(temporaryFolder(), 'faces.rec');
  const parts = images.map(([label, image], key) => encodeRecord(encodeImageRecord([label], BigInt(key), image)));
  writeFileSync(file, Buffer.concat(parts));
  let offset = 0;
  const lines = parts.map((part, key) => `${key}\t${(offset += part.length) - part.length}\n`);
  writeFileSync(file.replace('.rec', '.idx'), lines.join(''));
  return file;
}

const kinds = (report: Awaited<ReturnType<typeof checkDataset>>) =>
  report.findings.map(({ severity, kind, paths, detail }) => [severity, kind, ...paths, ...(detail ? [detail] : [])]);

describe('near-duplicates', () => {
  let root: string;
  beforeAll(async () => {
    root = temporaryFolder();
    for (const number of [0, 1, 2, 3, 4]) put(root, `ann/${number}.png`, await blobs(number));
    for (const number of [5, 6, 7]) put(root, `bob/${number}.png`, await blobs(number));
    put(root, 'ann/0-again.jpg', await recompressed(0)); // within
    put(root, 'bob/1-again.jpg', await recompressed(1)); // across
    put(root, 'bob/1-twice.png', await blobs(1)); // the same bytes, across
  });

  it('are found within and across identities, with the copies of each, beside duplicates', async () => {
    const report = await checkDataset(root);
    expect(kinds(report)).toEqual([
      ['error', 'duplicate across identities', 'ann/1.png', 'bob/1-twice.png'],
      ['note', 'near-duplicate across identities', 'ann/1.png', 'bob/1-again.jpg', 'bob/1-twice.png'],
      ['note', 'near-duplicate within an identity', 'ann/0-again.jpg', 'ann/0.png'],
    ]);
    expect(report).toMatchObject({ nearDuplicates: { distance: 16, pairs: 2 }, ok: false, against: [] });
    expect(report.imagesOfAnIdentity).toEqual({ least: 5, median: 6, most: 6 });
    expect(formatReport(report)).toMatch(/16 of 256 bits differ\): 2 pairs of files/);
  });

  it('depend on the distance', async () => {
    expect((await checkDataset(root, { nearDistance: 0 })).nearDuplicates).toEqual({ distance: 0, pairs: 0 });
    for (const nearDistance of [-1, 33, 1.5]) {
      await expect(checkDataset(root, { nearDistance })).rejects.toMatchObject({ code: 'E_RANGE' });
    }
  });

  it('are none among different drawn pictures of the same people', async () => {
    const out = join(temporaryFolder(), 'faces');
    await writeSynthDataset({ out, identities: 5, samples: 8, seed: 3, size: 48 });
    expect((await checkDataset(out, { nearDistance: 32 })).nearDuplicates.pairs).toBe(0);
  });
});

describe('evaluation sets', () => {
  it('are compared with training images, the nearest of which is named, and by the names of identities', async () => {
    const [training, first, second] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
    for (const number of [0, 1, 2]) put(training, `ann/${number}.png`, await blobs(number));
    put(training, 'bob/1.jpg', await recompressed(1));
    put(first, 'ann/new.png', await blobs(20));
    put(first, 'zoe/one.png', await blobs(1)); // the same bytes as ann/1, and near bob/1
    put(first, 'zoe/again.jpg', await recompressed(2));
    put(first, 'zoe/broken.png', 'no image');
    put(first, 'zoe/new-again.jpg', await recompressed(20)); // alike, but neither is a training image
    put(second, 'eve/new.png', await blobs(30));
    const report = await checkDataset(training, { against: [first, second] });
    expect(kinds(report)).toEqual([
      ['error', 'image of an evaluation set', 'ann/1.png', `${first}/zoe/one.png`, 'the same bytes'],
      [
        'error',
        'image of an evaluation set',
        'ann/2.png',
        `${first}/zoe/again.jpg`,
        expect.stringMatching(/^\d+ of 256 bits differ$/),
      ],
      ['note', 'near-duplicate across identities', 'ann/1.png', 'bob/1.jpg'],
      ['note', 'identity of an evaluation set', 'ann', `${first}/ann`],
    ]);
    expect(report.against).toEqual([
      { root: first, identities: 2, images: 5, damaged: 1, overlappingImages: 2, commonIdentities: 1 },
      { root: second, identities: 1, images: 1, damaged: 0, overlappingImages: 0, commonIdentities: 0 },
    ]);
    expect(report.images).toBe(4);
    expect(formatReport(report)).toMatch(
      /5 images of 2 identities\): 2 of its images are in training; names of identities in both: 1; 1 of its/,
    );
  });

  it('are refused before training images are read when they are not there', async () => {
    const root = temporaryFolder();
    put(root, 'ann/0.png', await blobs(0));
    const seen: string[] = [];
    for (const name of ['nowhere', 'nowhere.rec']) {
      const check = checkDataset(root, { against: [join(root, name)], onProgress: (_, path) => seen.push(path) });
      await expect(check).rejects.toMatchObject({ code: 'E_FORMAT' });
    }
    expect(seen).toEqual([]);
  });
});

describe('blank images', () => {
  it('are named, and are not near one another', async () => {
    const root = temporaryFolder();
    const plain = (level: number) =>
      sharp({ create: { width: 40, height: 40, channels: 3, background: { r: level, g: level, b: level } } })
        .png()
        .toBuffer();
    put(root, 'ann/0.png', await blobs(0));
    put(root, 'ann/black.png', await plain(0));
    put(root, 'ann/grey.png', await plain(120));
    expect(kinds(await checkDataset(root))).toEqual([
      ['note', 'blank image', 'ann/black.png'],
      ['note', 'blank image', 'ann/grey.png'],
    ]);
  });
});

describe('RecordIO files', () => {
  it('are checked as folders are, with their range of labels', async () => {
    const file = records([
      [0, await blobs(0)],
      [0, await recompressed(0)],
      [3, await blobs(1)],
      [3, Buffer.from('no image')],
      [1, await blobs(2)],
    ]);
    const report = await checkDataset(file);
    expect(kinds(report)).toEqual([
      ['error', 'damaged image', 'record 3', expect.stringMatching(/record 3: expected a JPEG, PNG or WebP/)],
      ['note', 'labels without images', file, '1 of the labels 0 to 3'],
      ['note', 'near-duplicate within an identity', 'record 0', 'record 1'],
    ]);
    expect(report).toMatchObject({ identities: 3, images: 5, labels: { lowest: 0, highest: 3, missing: 1 } });
    expect(report.imagesOfAnIdentity).toEqual({ least: 1, median: 2, most: 2 });
    const folder = temporaryFolder();
    put(folder, '00000003/1.jpg', await recompressed(1));
    const { against } = await checkDataset(folder, { against: [file] });
    expect(against).toMatchObject([{ images: 5, damaged: 1, overlappingImages: 1, commonIdentities: null }]);
  });

  it('are checked up to where they are damaged, which is an error', async () => {
    const images = await Promise.all([0, 1, 2].map(async (number) => [number, await blobs(number)] as const));
    const file = records(images);
    truncateSync(file, readFileSync(file).length - 100);
    const report = await checkDataset(file);
    expect(report).toMatchObject({ images: 2, ok: false });
    expect(kinds(report)).toEqual([['error', 'damaged record', file, expect.stringContaining('the file is damaged')]]);
    truncateSync(file, 100);
    await expect(checkDataset(file)).rejects.toMatchObject({ code: 'E_FORMAT' });
  });

  it('say that labels above 2^24 are not exact', async () => {
    const report = await checkDataset(records([[2 ** 24 + 2, await blobs(0)]]));
    expect(kinds(report).map(([, kind]) => kind)).toEqual(['labels without images', 'label above 2^24']);
  });
});

describe('inspectImages', () => {
  it('takes any iterable, and keeps its order whatever is slow', async () => {
    const pictures = await Promise.all([0, 1, 2, 3, 4, 5].map((number) => blobs(number)));
    async function* source() {
      for (const [i, bytes] of pictures.entries()) {
        const late = new Promise<Buffer>((resolve) => setTimeout(() => resolve(bytes), 40 - 7 * i));
        yield { name: `picture ${i}`, identity: i < 4 ? 'one' : 'two', bytes: late };
      }
    }
    const images = await inspectImages(source());
    const direct = await inspectImages(
      pictures.map((bytes, i) => ({ name: `picture ${i}`, identity: i < 4 ? 'one' : 'two', bytes })),
    );
    expect(images).toEqual(direct);
    expect(images.names).toEqual(pictures.map((_, i) => `picture ${i}`));
    expect([...images.owners]).toEqual([0, 0, 0, 0, 1, 1]);
    expect([...images.states]).toEqual(Array(6).fill(STATE.whole));
    expect(findDuplicates(images, [images], 16)).toMatchObject({
      exact: [],
      near: [],
      nearPairs: 0,
      overlaps: [{ length: 6 }],
    });
  });
});

it('hyperarc data check takes evaluation sets and a distance', async () => {
  vi.spyOn(console, 'log').mockImplementation(() => {});
  const [training, evaluation] = [temporaryFolder(), temporaryFolder()];
  put(training, 'ann/0.png', await blobs(0));
  put(evaluation, 'zoe/0.jpg', await recompressed(0));
  process.exitCode = 0;
  expect(await main(['data', 'check', training, '--against', evaluation])).toBe(1);
  process.exitCode = 0;
  expect(await main(['data', 'check', training, '--against', evaluation, '--near-distance', '0'])).toBe(0);
  expect(await main(['data', 'check', training, '--near-distance', '99'])).toBe(1);
  vi.restoreAllMocks();
});

describe('checkDataset of other forms', () => {
  it('reads shards and lists, and the folder that a RecordIO file lies in', async () => {
    const root = temporaryFolder();
    const folder = join(root, 'faces');
    for (const [name, number] of [['a/1.png', 1], ['a/2.png', 2], ['b/1.png', 3], ['b/2.png', 1]] as const) put(folder, name, await blobs(number));
    put(folder, 'list.txt', 'a/1.png anna\nb/2.png anna\nb/1.png ben\nb/9.png ben\n');
    await convertDataset(folder, join(root, 'shards', 'faces.tar'));
    await convertDataset(folder, join(root, 'records', 'faces.rec'));
    const ofFolder = kinds(await checkDataset(folder)).filter(([, kind]) => kind !== 'not an image');
    expect(ofFolder).toEqual([['error', 'duplicate across identities', 'a/1.png', 'b/2.png']]);
    const ofShards = await checkDataset(join(root, 'shards'));
    expect(kinds(ofShards)).toEqual(ofFolder);
    expect(ofShards).toMatchObject({ identities: 2, images: 4 });
    expect(kinds(await checkDataset(join(root, 'records')))).toEqual([['error', 'duplicate across identities', 'record 1', 'record 4']]);
    const ofList = await checkDataset(join(folder, 'list.txt'));
    expect(kinds(ofList).map(([severity, kind, ...paths]) => [severity, kind, paths.slice(0, 2)])).toEqual([
      ['error', 'damaged image', ['b/9.png', expect.stringMatching(/ENOENT/)]],
      ['note', 'duplicate within an identity', ['a/1.png', 'b/2.png']],
    ]);
  });
});
