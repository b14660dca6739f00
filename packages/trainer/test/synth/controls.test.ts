import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { main } from '../../dist/cli/main.js';
import { KeyedRandom } from '../../dist/data/index.js';
import { atAge } from '../../dist/synth/age.js';
import { complexionOf } from '../../dist/synth/complexion.js';
import { apportion, assignStratified, ControlPlan, parseShares } from '../../dist/synth/controls.js';
import { HeadDrawing } from '../../dist/synth/head.js';
import { drawIdentity } from '../../dist/synth/identity.js';
import { faceSvg } from '../../dist/synth/renderFace.js';
import { drawSample } from '../../dist/synth/sample.js';
import { writeSynthDataset } from '../../dist/synth/index.js';
import { temporaryFolder } from '../data/fixtures.js';

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
function counts<T>(values: Iterable<T>): Map<T, number> {
  const found = new Map<T, number>();
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1);
  return found;
}

describe('apportion', () => {
  it.each([
    [[0.5, 0.3, 0.2], 10, [5, 3, 2]],
    [[0.5, 0.3, 0.2], 7, [4, 2, 1]], // 3.5, 2.1, 1.4
    [[1, 1, 1], 10, [4, 3, 3]], // equal remainders: the earlier
    [[0.333, 0.333, 0.333], 9, [3, 3, 3]],
    [[0.29, 0.71], 100, [29, 71]], // 0.29 · 100 is below 29 in floating point
    [[0.02, 0.98], 20, [0, 20]],
    [[0, 1], 5, [0, 5]],
  ])('gives %j of %d as %j', (shares, total, expected) => {
    expect(apportion(shares, total)).toEqual(expected);
  });

  it('is within one of every quota, and whole', () => {
    const random = new KeyedRandom(4);
    for (let i = 0; i < 500; i++) {
      const shares = Array.from({ length: 1 + random.integer(6) }, () => random.uniform(0.01, 1));
      const total = random.integer(5000);
      const given = apportion(shares, total);
      expect(sum(given)).toBe(total);
      given.forEach((count, v) => expect(Math.abs(count - (shares[v]! / sum(shares)) * total)).toBeLessThan(1 + 1e-9));
    }
  });
});

describe('assignStratified', () => {
  it('gives each value its count, and each row nearly its share', () => {
    for (const [wanted, rows, columns] of [
      [[50, 30, 20], 10, 10],
      [[333, 334, 333], 100, 10],
      [[1, 998, 1], 100, 10],
      [[7, 4], 11, 1],
      [[0, 12], 3, 4],
    ] as const) {
      const places = assignStratified(wanted, rows, columns, new KeyedRandom(9));
      expect(wanted.map((_, value) => places.filter((place) => place === value).length)).toEqual(wanted);
      for (let row = 0; row < rows; row++) {
        const line = places.subarray(row * columns, (row + 1) * columns);
        wanted.forEach((count, value) => {
          expect(
            Math.abs(line.filter((place) => place === value).length - (count / (rows * columns)) * columns),
          ).toBeLessThan(2);
        });
      }
    }
  });

  it('does not put a value in the same places, and lets attributes be independent', () => {
    const [a, b] = [1, 2].map((stream) => assignStratified([500, 500], 100, 10, new KeyedRandom(9, stream)));
    const firsts = a!.filter((_, i) => i % 10 === 0);
    expect(sum([...firsts])).toBeGreaterThan(30);
    expect(sum([...firsts])).toBeLessThan(70);
    const together = a!.filter((value, i) => value === b![i]).length;
    expect(Math.abs(together - 500)).toBeLessThan(80);
  });
});

const parameters = { identities: 12, samples: 5, seed: 3, size: 24 };
const controls = {
  yaw: { 0: 0.5, 30: 0.3, 60: 0.2 },
  age: { young: 0.4, middle: 0.35, old: 0.25 },
  groups: { light: 0.7, dark: 0.3 },
  masks: 0.2,
};

describe('a dataset with controls', () => {
  async function write(options: Partial<Parameters<typeof writeSynthDataset>[0]> = {}): Promise<string> {
    const out = join(temporaryFolder(), 'faces');
    await writeSynthDataset({ ...parameters, controls, out, ...options });
    return out;
  }
  let whole: string;
  beforeAll(async () => {
    whole = await write({ workers: 1 });
  });
  const table = (folder: string): Record<string, string>[] => {
    const [header, ...rows] = readFileSync(join(folder, 'attributes.csv'), 'utf8').trimEnd().split('\n');
    const names = header!.split(',');
    return rows.map((row) => Object.fromEntries(row.split(',').map((cell, i) => [names[i]!, cell])));
  };

  it('has the shares that were asked for, to the picture, and says them in attributes.csv', async () => {
    const rows = table(whole);
    expect(rows).toHaveLength(60);
    const count = (name: string) => Object.fromEntries(counts(rows.map((row) => row[name])));
    expect(count('pose')).toEqual({ 0: 30, 30: 18, 60: 12 });
    expect(count('age')).toEqual({ 20: 24, 45: 21, 70: 15 });
    expect(count('mask')).toEqual({ 0: 48, 1: 12 });
    expect(counts(rows.map(({ identity, group }) => `${identity} ${group}`)).size).toBe(12);
    expect(count('group')).toEqual({ light: 40, dark: 20 }); // 8.4 and 3.6 people: 8 and 4
    for (const { pose, yaw, mask, occlusion, group, skinTone } of rows) {
      expect(Math.abs(Math.abs((Number(yaw) * 180) / Math.PI) - Number(pose))).toBeLessThanOrEqual(3.01);
      expect(occlusion === 'mask').toBe(mask === '1');
      expect(occlusion).not.toBe('scarf');
      expect(Number(skinTone) < 0.5).toBe(group === 'light');
    }
    // Everybody is drawn at several ages and in several poses.
    for (const name of ['age', 'pose']) {
      for (let person = 0; person < 12; person++) {
        expect(
          counts(rows.filter(({ identity }) => Number(identity) === person).map((row) => row[name])).size,
        ).toBeGreaterThan(1);
      }
    }
    expect(counts(rows.filter(({ pose }) => pose !== '0').map(({ yaw }) => Number(yaw) > 0)).size).toBe(2);
  });

  it('has the same bytes with any number of threads, and is known again', async () => {
    const [one, three] = [whole, await write({ workers: 3 })];
    const files = readdirSync(one, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files).toHaveLength(62);
    for (const { parentPath, name } of files) {
      const path = join(parentPath, name);
      expect(readFileSync(path.replace(one, three)).equals(readFileSync(path)), name).toBe(true);
    }
    expect(JSON.parse(readFileSync(join(one, 'synth.json'), 'utf8'))).toEqual({
      kind: 'hyperarc-synth',
      version: 1,
      ...parameters,
      controls,
    });
    expect(await writeSynthDataset({ ...parameters, controls, out: one })).toMatchObject({ status: 'already there' });
    await expect(writeSynthDataset({ ...parameters, out: one })).rejects.toMatchObject({ code: 'E_FORMAT' });
  });

  it('without any is the dataset it was: no more columns, nothing in the manifest', async () => {
    const small = { identities: 4, samples: 3, workers: 1 };
    const [none, empty] = [await write({ ...small, controls: undefined }), await write({ ...small, controls: {} })];
    expect(readFileSync(join(none, 'synth.json'), 'utf8')).not.toContain('controls');
    expect(Object.keys(table(none)[0]!).at(-1)).toBe('occlusion');
    for (const path of ['synth.json', 'attributes.csv', 'id_00003/0002.jpg']) {
      expect(readFileSync(join(empty, path))).toEqual(readFileSync(join(none, path)));
    }
  });

  it('leaves the drawings without any as version 1 has them', () => {
    const hash = createHash('sha256');
    for (let identity = 0; identity < 20; identity++) {
      for (let sample = 0; sample < 10; sample++) {
        hash.update(
          faceSvg(drawIdentity(7, identity), drawSample(7, identity, sample), new KeyedRandom(7, 5, identity, sample)),
        );
      }
    }
    // Frozen: another hash is another dataset for the same seed, and SYNTH_VERSION must rise.
    expect(hash.digest('hex')).toBe('a070386587ccd9eced2aaca77796340e2a3035ebd4c5a1c85a524a0d9e2b77f1');
  });

  it.each([
    [{ yaw: { 61: 1 } }, 'yaw'],
    [{ yaw: { '': 1 } }, 'yaw'],
    [{ yaw: { 0: 0.5, 30: 0.4 } }, 'yaw'],
    [{ yaw: { 0: 1.5, 30: -0.5 } }, 'yaw'],
    [{ yaw: {} }, 'yaw'],
    [{ age: { old: 0.5, ancient: 0.5 } }, 'age'],
    [{ age: { young: 0.5, 20: 0.5 } }, 'age'],
    [{ age: { toString: 1 } }, 'age'],
    [{ groups: { 'a,b': 1 } }, 'groups'],
    [{ groups: Object.fromEntries([...'abcdefg'].map((name) => [name, 1 / 7])) }, 'groups'],
    [{ masks: 1.1 }, 'masks'],
    [{ masks: NaN }, 'masks'],
  ])('refuses %j before it writes', async (wrong, name) => {
    const out = join(temporaryFolder(), 'faces');
    const work = writeSynthDataset({ ...parameters, out, controls: wrong as typeof controls });
    await expect(work).rejects.toMatchObject({
      code: 'E_RANGE',
      message: expect.stringContaining(`E_RANGE: ${name}: expected`),
    });
    expect(readdirSync(dirname(out))).toEqual([]);
  });

  it('refuses more pictures than it can assign', () => {
    expect(() => new ControlPlan({ masks: 0.5 }, { identities: 1_000_000, samples: 1000, seed: 1 })).toThrow(
      'E_RANGE: controls',
    );
  });

  it('comes from the command line', async () => {
    vi.spyOn(console, 'log').mockImplementation(() => {});
    vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
    const out = join(temporaryFolder(), 'faces');
    const flags = ['--identities', '4', '--samples', '5', '--size', '16', '--workers', '1'];
    const asked = [
      '--yaw',
      '0:0.5,45:0.5',
      '--age',
      'young:0.5, old:0.5',
      '--groups',
      'a:0.5,b:0.5',
      '--masks',
      '0.25',
    ];
    expect(await main(['synth', '--output', out, ...flags, ...asked])).toBe(0);
    expect(
      counts(table(out).map(({ pose, age, group, mask }) => `${Number(pose) >= 0} ${Number(age) > 0} ${group} ${mask}`))
        .size,
    ).toBeGreaterThan(2);
    expect(counts(table(out).map(({ mask }) => mask)).get('1')).toBe(5);
    expect(await main(['synth', '--output', `${out}2`, ...flags, '--yaw', '0:0.5,90:0.5'])).toBe(1);
    expect(await main(['synth', '--output', `${out}2`, ...flags, '--yaw', '0'])).toBe(1);
    vi.restoreAllMocks();
  });
});

describe('parseShares', () => {
  it('reads values and shares', () => {
    expect(parseShares('age', 'young:0.5, 45:.25 ,old:0.25')).toEqual({ young: 0.5, 45: 0.25, old: 0.25 });
  });
  it.each(['', 'a', 'a:', ':1', 'a:x', 'a:1,', 'a:0.5,a:0.5', 'a:-1', 'a:1:2'])('refuses %j', (text) => {
    expect(() => parseShares('age', text)).toThrow('E_RANGE: --age: expected VALUE:SHARE');
  });
});

describe('pictures with controls', () => {
  const pixelsOf = async (svg: string) => sharp(Buffer.from(svg)).resize(56, 56).greyscale().raw().toBuffer();
  const picture = (traits: ReturnType<typeof drawIdentity>, conditions: ReturnType<typeof drawSample>) =>
    pixelsOf(faceSvg(traits, conditions, new KeyedRandom(1)));
  const still = (sample: Parameters<typeof drawSample>[3]) => ({
    ...drawSample(1, 0, 0, sample),
    occlusion: 'none' as const,
  });

  it('show age: grey hair, lines, thinner lips; bones and eyes stay', async () => {
    let greyer = 0;
    for (let person = 0; person < 40; person++) {
      const [young, old] = [20, 75].map((years) => atAge(drawIdentity(1, person), years));
      const saturation = ({ traits }: typeof young & object) => {
        const { hair } = complexionOf(traits);
        return Math.max(...hair) - Math.min(...hair);
      };
      if (saturation(old!) < 25) greyer++;
      expect(young!.wrinkles).toBe(0);
      expect(old!.wrinkles).toBeGreaterThan(0.9);
      expect(old!.traits.upperLip).toBeLessThan(young!.traits.upperLip);
      expect(old!.traits.earSize).toBeGreaterThan(young!.traits.earSize);
      for (const name of ['faceWidth', 'eyeSpacing', 'eyeHeight', 'irisTone', 'skinTone', 'noseLength'] as const) {
        expect(old!.traits[name]).toBe(young!.traits[name]);
      }
    }
    expect(greyer).toBeGreaterThan(36);
    // On the forehead of somebody whose hair leaves it free, lines are dark and light by turns.
    const person = { ...drawIdentity(1, 1), traits: { ...drawIdentity(1, 1).traits, baldness: 0.99 } };
    const lines = async (wrinkles: number) => {
      const pixels = await picture({ ...person, wrinkles }, { ...still({ yaw: 0 }), yaw: 0, pitch: 0 });
      const column = Array.from({ length: 16 }, (_, row) => pixels[(8 + row) * 56 + 28]!);
      return sum(column.slice(1).map((value, i) => Math.abs(value - column[i]!)));
    };
    expect(await lines(1)).toBeGreaterThan((await lines(0)) + 40);
  });

  it('show the mask where mouth and nose are, on heads turned either way too', async () => {
    for (const yaw of [-1.05, -0.6, 0, 0.6, 1.05]) {
      const conditions = { ...still({}), yaw, pitch: 0, roll: 0, zoom: 1, shiftX: 0, shiftY: 0 };
      const person = drawIdentity(2, 5);
      // A mask hides what the mouth does: open and closed look the same.
      const [open, closed] = await Promise.all(
        [1, 0].map((mouthOpen) => picture(person, { ...conditions, mouthOpen, occlusion: 'mask' })),
      );
      const seen = await picture(person, { ...conditions, mouthOpen: 1 });
      const differs = (a: Buffer, b: Buffer) => a.filter((value, i) => Math.abs(value - b[i]!) > 12).length;
      expect(differs(open!, closed!), `yaw ${yaw}`).toBeLessThanOrEqual(2);
      expect(differs(open!, seen), `yaw ${yaw}`).toBeGreaterThan(200);
    }
  });

  it.each([-60, -35, 35, 60])('draw what a head turned by %d degrees hides together to its rim', (degrees) => {
    const yaw = (degrees * Math.PI) / 180;
    const { traits } = drawIdentity(1, 3);
    const drawing = new HeadDrawing(traits, { ...still({}), yaw });
    const side = Math.sign(degrees);
    const seenAt = ([x, , z]: readonly number[]) => side * (x! * Math.cos(yaw) + z! * Math.sin(yaw));
    for (const y of [-0.9, -0.4, 0, 0.3, 0.8]) {
      // The surface again, by its equation: an ellipsoid. Where it is seen farthest out is the rim.
      const surface = (x: number) => [
        x,
        y,
        0.78 * Math.sqrt(1 - (x / (1.06 * traits.faceWidth)) ** 2 - ((y + 0.05) / 1.4) ** 2),
      ];
      const half = 1.06 * traits.faceWidth * Math.sqrt(1 - ((y + 0.05) / 1.4) ** 2) * 0.999;
      const grid = Array.from({ length: 4001 }, (_, i) => half * (i / 2000 - 1));
      const rim = Math.max(...grid.map((x) => seenAt(surface(x))));
      for (const x of [0.3 * half, 0.6 * half, half, 2]) {
        expect(seenAt(drawing.onFace(side * x, y))).toBeLessThanOrEqual(rim + 1e-6);
        expect(drawing.onFace(-side * x, y)[0]).toBe(-side * x); // the near side stays
      }
      expect(seenAt(drawing.onFace(side * 2, y))).toBeCloseTo(rim, 5);
      expect(seenAt(drawing.around([side * 2, y, -1], 0))).toBeCloseTo(rim, 5);
      expect(drawing.around([-side * 2, y, -1])).toEqual([-side * 2, y, -1]);
    }
    const slight = new HeadDrawing(traits, { ...still({}), yaw: yaw / 4 });
    expect(slight.onFace(side * 0.8, 0)[0]).toBe(side * 0.8);
  });
});
