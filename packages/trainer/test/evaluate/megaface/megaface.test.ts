import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initBackend } from '../../../dist/backend/index.js';
import { evaluateDistractors } from '../../../dist/evaluate/megaface/identify.js';
import { evaluateMegaFace } from '../../../dist/evaluate/megaface/evaluateMegaFace.js';
import { formatMegaFace } from '../../../dist/evaluate/megaface/format.js';
import { readImageList, readNoises } from '../../../dist/evaluate/megaface/lists.js';
import { TopScores } from '../../../dist/evaluate/megaface/topScores.js';

interface Figures {
  pairs: number;
  rates: number[];
  verification: ({ tar: number; measuredFar: number; threshold: number | null } | null)[];
}
const reference = join(import.meta.dirname, '../reference/protocols/MegaFace');
const expected = JSON.parse(readFileSync(join(reference, 'expected.json'), 'utf8')) as Record<string, Figures>;
const features = {
  data: reference,
  probeFeatures: join(reference, 'probes.npy'),
  distractorFeatures: join(reference, 'distractors.npy'),
  device: 'cpu',
} as const;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-megaface-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('evaluateMegaFace', () => {
  const cases = {
    raw: { cleaned: false },
    center: {},
    drop: { noisyProbes: 'drop' },
    subset: {
      cleaned: false,
      distractors: join(reference, 'megaface_features_list.json_100_1'),
      distractorFeatures: join(reference, 'distractors_100.npy'),
    },
  } as const;
  it.each(Object.entries(cases))('%s: has the figures of the reference', async (name, options) => {
    const found = await evaluateMegaFace({ ...features, ...options });
    const { pairs, rates, verification } = expected[name]!;
    expect(found.pairs).toBe(pairs);
    expect(found.identification.map(({ rate }) => rate)).toEqual(rates);
    verification.forEach((figure, f) => {
      const { tar, measuredFar, threshold, note } = found.verification!.tarAtFar[f]!;
      expect({ tar, measuredFar }).toEqual({ tar: figure?.tar ?? null, measuredFar: figure?.measuredFar ?? null });
      if (figure === null) expect(note).toMatch('impostor scores, has');
      else if (figure.threshold === null) expect(threshold).toBeNull();
      else expect(threshold).toBeCloseTo(figure.threshold, 6);
    });
  });

  it('says what was cleaned', async () => {
    const found = await evaluateMegaFace(features);
    expect(found).toMatchObject({
      cleaned: true,
      noisyProbes: 'center',
      noisyProbeImages: 2,
      noisyDistractors: 3,
      distractors: 597,
    });
    const text = formatMegaFace(found);
    expect(text).toContain('MegaFace (R)');
    expect(text).toContain("cleaned: 3 distractors left out, 2 probes replaced by their person's mean");
    expect(text).toMatch(/rate % +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d/);
    expect(formatMegaFace(await evaluateMegaFace({ ...features, cleaned: false }))).toContain('not cleaned');
  });

  it('embeds the images of the lists', async () => {
    await initBackend('cpu');
    const people = ['Ada/1.png', 'Ada/2.png', 'Bo/1.png', 'Bo/2.png'];
    const distractors = ['1/a/x.png', '1/b/y.png', '2/c/z.png'];
    const colours = [
      [250, 10, 10],
      [240, 30, 20],
      [10, 10, 250],
      [30, 20, 240],
      [10, 250, 10],
      [200, 200, 10],
      [120, 120, 120],
    ];
    const paths = [
      ...people.map((path) => `facescrub_images/${path}`),
      ...distractors.map((path) => `megaface_images/${path}`),
    ];
    for (const [i, path] of paths.entries()) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      const [r, g, b] = colours[i]!;
      const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: { r: r!, g: g!, b: b! } } });
      writeFileSync(join(folder, path), await picture.png().toBuffer());
    }
    writeFileSync(join(folder, 'facescrub_lst'), people.join('\n'));
    writeFileSync(join(folder, 'megaface_lst'), distractors.join('\n'));
    const model = { predict: (images: tf.Tensor4D) => tf.reshape(images, [images.shape[0], -1]) };
    const source = { model, imageSize: 4, name: 'pixels' };
    const options = { data: folder, cleaned: false, workers: 1, device: 'cpu' } as const;
    const found = await evaluateMegaFace(options, source);
    expect(found).toMatchObject({
      people: 2,
      probes: 4,
      distractors: 3,
      pairs: 4,
      source: 'pixels',
      noisyProbes: null,
    });
    expect(found.identification[0]).toEqual({ rank: 1, rate: 1 });
    rmSync(join(folder, 'megaface_images/1/b/y.png'));
    await expect(evaluateMegaFace(options, source)).rejects.toThrow(
      'megaface_images: expected the 3 images of the list, 1 are missing, the first is 1/b/y.png',
    );
    await expect(evaluateMegaFace(options)).rejects.toThrow(
      'E_RANGE: features: expected a run, a model or files of features',
    );
  });

  it('refuses features of other lists', async () => {
    await expect(evaluateMegaFace({ ...features, probeFeatures: features.distractorFeatures })).rejects.toThrow(
      /distractors.npy: expected a row for each of the \d+ lines of .*facescrub_lst, received 600/,
    );
    const { probeFeatures, ...half } = features;
    await expect(evaluateMegaFace(half)).rejects.toThrow(
      'E_RANGE: features: expected those of probes and distractors, received one of both',
    );
    expect(probeFeatures).toBeDefined();
  });

  it('refuses a person of whom only noise is known', async () => {
    cpSync(reference, folder, { recursive: true });
    const lists = readImageList(join(folder, 'facescrub_lst'), 2).filter((path) => path.startsWith('Bo_B/'));
    writeFileSync(join(folder, 'facescrub_noises.txt'), lists.map((path) => path.split('/')[1]).join('\n'));
    await expect(evaluateMegaFace({ ...features, data: folder })).rejects.toThrow(
      'E_RANGE: Bo_B: expected a good image',
    );
  });
});

describe('evaluateDistractors', () => {
  const matrix = (...rows: number[][]) => ({ valuesND: Float32Array.from(rows.flat()), dim: rows[0]!.length });

  it('counts ties against the mate, and more ranks than distractors as found', async () => {
    const probes = matrix([1, 0], [1, 1], [0, 1]);
    // The first distractor is as near to [1, 0] as its mate; from [1, 1] it is as near as [1, 0].
    const figures = await evaluateDistractors(probes, ['a', 'a', 'b'], matrix([2, 2], [-1, 0]), {
      device: 'cpu',
      ranks: [1, 2, 3],
    });
    // ([1, 0], mate [1, 1]): tie, rank 2. ([1, 1], mate [1, 0]): the distractor is a copy of the probe, rank 2.
    expect(figures.identification.map(({ rate }) => rate)).toEqual([0, 1, 1]);
    expect(figures).toMatchObject({ people: 2, pairs: 2, probes: 3, distractors: 2 });
  });

  it('refuses people without mates', async () => {
    await expect(evaluateDistractors(matrix([1, 0], [0, 1]), ['a', 'b'], matrix([1, 1]))).rejects.toThrow(
      'E_RANGE: people: expected somebody with two images',
    );
    await expect(evaluateDistractors(matrix([1, 0], [0, 1]), ['a'], matrix([1, 1]))).rejects.toThrow(
      'E_SHAPE: people: expected one for each of the 2 probes',
    );
  });
});

describe('TopScores', () => {
  it.each([1, 7, 3000])('keeps the largest %i of many, ties among them', (count) => {
    const scores = Float32Array.from({ length: 30_000 }, (_, i) => ((i * 7919) % 9973) / 100);
    const top = new TopScores(count);
    for (let i = 0; i < scores.length; i += 1001) top.add(scores.subarray(i, i + 1001));
    expect(top.total).toBe(scores.length);
    expect(top.sorted()).toEqual(scores.sort().reverse().slice(0, count));
  });

  it('has what there was where that is fewer', () => {
    const top = new TopScores(10);
    top.add(Float32Array.of(1, 3, 2));
    expect(top.sorted()).toEqual(Float32Array.of(3, 2, 1));
  });
});

describe('the lists of MegaFace', () => {
  it.each([
    ['a/1.png\nb.png\n', 'list:2: expected a relative path of 2 parts at least, received "b.png"'],
    ['a/1.png\n/a/b.png\n', 'list:2'],
    ['a/1.png\n../b.png\n', 'list:2'],
    ['\n', 'list: expected at least one image'],
  ])('refuses %j', (text, message) => {
    const path = join(folder, 'list');
    writeFileSync(path, text);
    expect(() => readImageList(path, 2)).toThrow(message);
  });

  it.each(['{"path": [1]}', '[]', 'null', '{"paths": []}', '{"path": ["a/b"'])('refuses the devkit list %s', (text) => {
    const path = join(folder, 'megaface_features_list.json_10_1');
    writeFileSync(path, text);
    expect(() => readImageList(path, 3)).toThrow(/E_FORMAT: .*json_10_1: expected/);
  });

  it('names a list that is not there', () => {
    expect(() => readNoises(join(folder, 'megaface_noises.txt'))).toThrow(
      'megaface_noises.txt: expected a readable file, received ENOENT',
    );
    expect(() => readImageList(join(folder, 'x.json'), 2)).toThrow(
      'x.json: expected a JSON list of the MegaFace devkit, received ENOENT',
    );
  });
});
