import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { main } from '../../../dist/cli/main.js';
import { alignDataset } from '../../../dist/data/align/alignDataset.js';
import { readLandmarks } from '../../../dist/data/align/landmarkFile.js';
import { ARCFACE_TEMPLATE, type Point } from '../../../dist/data/align/similarity.js';
import { alignFace, decodeWhole } from '../../../dist/data/align/warp.js';
import { KeyedRandom } from '../../../dist/data/index.js';
import { picture, put, temporaryFolder } from '../fixtures.js';

const numbers = [10, 20, 30, 20, 20.5, 30, 12, 40, 28, 4.1e1];
const points = [
  [10, 20],
  [30, 20],
  [20.5, 30],
  [12, 40],
  [28, 41],
];

async function read(name: string, text: string) {
  const folder = temporaryFolder();
  put(folder, name, text);
  const rows = [];
  for await (const row of readLandmarks(join(folder, name))) rows.push(row);
  return rows;
}

describe('readLandmarks', () => {
  const celeba =
    'lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y';
  it.each<[string, string, string]>([
    ['commas', 'list.csv', `a/b.png,${numbers.join(',')}\n`],
    ['tabs, blank lines and CRLF', 'list.tsv', `\r\na/b.png\t${numbers.join('\t')}\r\n\r\n`],
    ['spaces', 'list.txt', `a/b.png  ${numbers.join('   ')}`],
    ['a byte order mark', 'list.csv', `\uFEFFa/b.png,${numbers.join(',')}`],
    ["a score, as IJB's lists", 'list.txt', `a/b.png ${numbers.join(' ')} 0.987\n`],
    ['a quoted path', 'list.csv', `"a/b.png",${numbers.join(', ')}\n`],
    ['our header', 'list.csv', `path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\na/b.png,${numbers.join(',')}\n`],
    [
      'a header in another order, with other columns',
      'list.csv',
      `score,y5,x5,y4,x4,y3,x3,y2,x2,y1,x1,image\nx,${numbers.toReversed().join(',')},a/b.png\n`,
    ],
    ["CelebA's list", 'list.txt', `1\n${celeba}\na/b.png ${numbers.join('  ')}\n`],
    ['JSON lines', 'list.jsonl', `${JSON.stringify({ path: 'a/b.png', kps: points, score: 0.9 })}\n`],
    ['a JSON array', 'list.json', JSON.stringify([{ kps: points, path: './a/b.png' }])],
  ])('reads %s', async (_, name, text) => {
    expect(await read(name, text)).toEqual([{ place: expect.any(String), path: 'a/b.png', points }]);
  });

  it("reads VGGFace2's lists, whose names have no extension", async () => {
    const header = `NAME_ID,${[1, 2, 3, 4, 5].flatMap((i) => [`P${i}X`, `P${i}Y`]).join(',')}`;
    const rows = await read('list.csv', `${header}\n"n000002/0001_01",${numbers.join(',')}\n`);
    expect(rows).toEqual([{ place: 'line 2', path: 'n000002/0001_01.jpg', points }]);
  });

  it.each([
    ['list.csv', `a.png,${numbers.slice(1).join(',')}`, /ten coordinates and maybe a score, received 10 fields/],
    ['list.csv', `a.png,${numbers.slice(1).join(',')},east`, /expected a number as y5, received "east"/],
    ['list.csv', `a.png,${numbers.slice(1).join(',')},NaN`, /as y5, received "NaN"/],
    ['list.csv', `a.png,${numbers.slice(1).join(',')},1e999`, /as y5/],
    ['list.csv', `a.png,${numbers.slice(1).join(',')},`, /as y5, received ""/],
    ['list.csv', `../a.png,${numbers.join(',')}`, /relative to the images' folder, received "\.\.\/a\.png"/],
    ['list.csv', `/etc/a.png,${numbers.join(',')}`, /relative/],
    ['list.csv', `a\\..\\..\\b.png,${numbers.join(',')}`, /relative/],
    ['list.csv', `C:\\b.png,${numbers.join(',')}`, /relative/],
    ['list.csv', `,${numbers.join(',')}`, /relative/],
    ['list.jsonl', '{"path": "a.png"', /expected a JSON object/],
    ['list.jsonl', '7', /expected an object with a path/],
    ['list.jsonl', '{"path":"a.png","kps":[[1,2],[3,4],[5,6],[7,8],[9,"x"]]}', /expected kps of five/],
    ['list.json', '[{"path":"a.png","kps":[[1,2],[3,4]]}]', /expected kps of five/],
  ])('%s: says what is wrong with %s', async (name, text, reason) => {
    const rows = await read(name, text);
    expect(rows).toEqual([{ place: expect.stringMatching(/^(line|entry) 1$/), reason: expect.stringMatching(reason) }]);
  });

  it('refuses files that are no list', async () => {
    await expect(read('list.csv', 'path,left,right\n')).rejects.toThrow(
      /line 1: expected coordinates, or the names of columns path, x1/,
    );
    await expect(read('list.json', '{"a": 1}')).rejects.toThrow(/expected an array of objects/);
    await expect(read('list.json', '[1,')).rejects.toThrow(/expected JSON/);
    await expect(readLandmarks('/nowhere/list.csv').next()).rejects.toThrow(
      /list\.csv: expected a readable list .* ENOENT/,
    );
  });

  it('answers any bytes with rows, bad rows or E_FORMAT', async () => {
    const random = new KeyedRandom(91);
    const folder = temporaryFolder();
    const seeds: [string, string][] = [
      ['a.csv', `path,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\n"a,b.png",${numbers.join(',')}\nc.png,${numbers.join(',')}\n`],
      ['b.txt', `2\na.png ${numbers.join(' ')} 0.5\nb.png ${numbers.join(' ')}\n`],
      ['c.jsonl', `${JSON.stringify({ path: 'a.png', kps: points })}\n`],
      ['d.json', JSON.stringify([{ path: 'a.png', kps: points }])],
    ];
    for (let i = 0; i < 600; i++) {
      const [name, text] = seeds[i % 4]!;
      const bytes = Buffer.from(text);
      for (let changes = 1 + random.integer(4); changes > 0; changes--)
        bytes[random.integer(bytes.length)] = random.integer(256);
      put(folder, name, bytes.subarray(0, random.chance(0.2) ? random.integer(bytes.length) : bytes.length));
      try {
        for await (const row of readLandmarks(join(folder, name))) {
          if ('reason' in row) continue;
          expect(row.path).not.toMatch(/(^|\/)\.\.(\/|$)|^\//);
          expect(row.points.flat().every(Number.isFinite) && row.points.length === 5).toBe(true);
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'E_FORMAT' });
      }
    }
  });
});

describe('alignDataset', () => {
  /** Turned by a quarter and larger: where the template's points come to lie in an image of 200 × 160. */
  const turned = ARCFACE_TEMPLATE.map(([x, y]): Point => [Math.round(180 - y * 1.2), Math.round(20 + x * 1.2)]);
  const row = (path: string, at = turned) => `${path},${at.flat().join(',')}`;
  let root: string;
  beforeAll(async () => {
    root = temporaryFolder();
    const pixels = Buffer.alloc(200 * 160 * 3, 90);
    for (const [i, [x, y]] of turned.entries()) {
      for (let dy = -3; dy <= 3; dy++)
        pixels.fill(150 + 20 * i, 3 * ((y + dy) * 200 + x - 3), 3 * ((y + dy) * 200 + x + 4));
    }
    const marks = sharp(pixels, { raw: { width: 200, height: 160, channels: 3 } });
    put(root, 'ann/0.png', await marks.clone().png().toBuffer());
    put(root, 'bob/x.1.jpg', await marks.clone().jpeg({ quality: 95 }).toBuffer());
    put(root, 'bob/small.png', await picture(1));
    put(root, 'bob/cut.jpg', (await picture(1, 64)).subarray(0, -200));
  });
  const list = (...rows: string[]) => {
    put(root, 'list.csv', rows.join('\n'));
    return join(root, 'list.csv');
  };
  const target = () => join(temporaryFolder(), 'aligned');

  it('puts every landmark where the template has it, in files of the same names', async () => {
    const to = target();
    const seen: string[] = [];
    const file = list(row('ann/0.png'), row('bob/x.1.jpg'));
    const result = await alignDataset(file, to, {
      format: 'png',
      size: 224,
      onProgress: (done, total) => seen.push(`${done}/${total}`),
    });
    expect(result).toEqual({ images: 2, skipped: 0 });
    expect(seen).toEqual(['1/2', '2/2']);
    expect(readdirSync(to, { recursive: true }).toSorted()).toEqual(['ann', 'ann/0.png', 'bob', 'bob/x.1.png']);
    for (const path of ['ann/0.png', 'bob/x.1.png']) {
      const { data, width, height } = await decodeWhole(join(to, path));
      expect([width, height]).toEqual([224, 224]);
      ARCFACE_TEMPLATE.forEach(([x, y], i) => {
        expect(Math.abs(data[3 * (Math.round(2 * y) * 224 + Math.round(2 * x))]! - (150 + 20 * i))).toBeLessThanOrEqual(
          4,
        );
      });
    }
    const direct = alignFace(await decodeWhole(join(root, 'ann/0.png')), turned, 224);
    expect(Buffer.from((await decodeWhole(join(to, 'ann/0.png'))).data).equals(direct)).toBe(true);
  });

  it('writes JPEG of 112 × 112 from a list that is elsewhere, the same bytes with any number of jobs', async () => {
    const elsewhere = temporaryFolder();
    put(elsewhere, 'list.csv', `${row('ann/0.png')}\n${row('bob/x.1.jpg')}`);
    const [one, three] = [target(), target()];
    await alignDataset(join(elsewhere, 'list.csv'), one, { root, jobs: 1 });
    await alignDataset(join(elsewhere, 'list.csv'), three, { root, jobs: 3 });
    expect(await sharp(join(one, 'ann/0.jpg')).metadata()).toMatchObject({
      format: 'jpeg',
      width: 112,
      height: 112,
      chromaSubsampling: '4:4:4',
    });
    for (const path of ['ann/0.jpg', 'bob/x.1.jpg'])
      expect(readFileSync(join(three, path))).toEqual(readFileSync(join(one, path)));
  });

  const bad: [string, string, RegExp][] = [
    ['a line without fields', 'nonsense', /line 2: expected a path, ten/],
    [
      'an image that is not there',
      row('ann/9.png'),
      /line 2: expected an image at .*ann\/9\.png, received none; --root/,
    ],
    [
      'a face in one place',
      row('bob/small.png', Array(5).fill([7, 7])),
      /line 2: expected five landmarks in different places/,
    ],
    ['an image a second time', row('ann/0.jpg'), /line 2: .*second time, first in line 1/],
    ['a damaged image', row('bob/cut.jpg'), /line 2: .*cut\.jpg: expected a whole image/],
    [
      'landmarks beside the image',
      row('bob/small.png'),
      /line 2: expected landmarks within the 24×24 pixels of bob\/small\.png/,
    ],
  ];
  it.each(bad)('refuses %s, naming the line, and writes nothing', async (_, line, message) => {
    const to = target();
    const work = alignDataset(list(row('ann/0.png'), line), to);
    await expect(work).rejects.toMatchObject({ code: 'E_FORMAT', message: expect.stringMatching(message) });
    expect(readdirSync(join(to, '..'))).toEqual([]);
  });

  it('leaves bad rows out when asked, and names them', async () => {
    const to = target();
    const warnings: string[] = [];
    const file = list(row('ann/0.png'), ...bad.map(([, line]) => line));
    const result = await alignDataset(file, to, { skipBad: true, onWarning: (message) => warnings.push(message) });
    expect(result).toEqual({ images: 1, skipped: bad.length });
    expect(warnings).toHaveLength(bad.length);
    expect(warnings[0]).toMatch(/list\.csv: line 2 is left out: expected a path/);
    await expect(alignDataset(list('nonsense'), target(), { skipBad: true })).rejects.toThrow(
      /received none that can be used/,
    );
    await expect(alignDataset(list(row('bob/cut.jpg')), target(), { skipBad: true })).rejects.toThrow(
      /that can be used, received none/,
    );
  });

  it('says when left and right seem exchanged', async () => {
    const [leftEye, rightEye, nose, left, right] = turned as [Point, Point, Point, Point, Point];
    const warnings: string[] = [];
    const file = list(row('ann/0.png'), row('bob/x.1.jpg', [rightEye, leftEye, nose, right, left]));
    await alignDataset(file, target(), { onWarning: (message) => warnings.push(message) });
    expect(warnings).toEqual([expect.stringContaining('1 of 2 rows fit a face better with left and right exchanged')]);
  });

  it('refuses options out of range and a target that is there', async () => {
    const file = list(row('ann/0.png'));
    for (const options of [{ size: 8 }, { size: 112.5 }, { jobs: 0 }, { format: 'gif' as 'jpg' }]) {
      await expect(alignDataset(file, target(), options)).rejects.toMatchObject({ code: 'E_RANGE' });
    }
    await expect(alignDataset(file, root)).rejects.toMatchObject({ code: 'E_RANGE' });
  });

  it('keeps nothing when it is stopped', async () => {
    const interrupt = new AbortController();
    const to = target();
    const work = alignDataset(list(row('ann/0.png'), row('bob/x.1.jpg')), to, {
      jobs: 1,
      signal: interrupt.signal,
      onProgress: () => interrupt.abort(new Error('stop')),
    });
    await expect(work).rejects.toThrow('stop');
    expect(readdirSync(join(to, '..'))).toEqual([]);
  });

  it('is a command', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    const to = target();
    expect(await main(['data', 'align', list(row('ann/0.png')), to, '--size', '128', '--jobs', '1'])).toBe(0);
    expect(log).toHaveBeenCalledWith(`${to}: 1 faces of 128×128 pixels`);
    expect(existsSync(join(to, 'ann/0.jpg'))).toBe(true);
    vi.restoreAllMocks();
  });
});
