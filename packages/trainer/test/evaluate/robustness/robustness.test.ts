import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../../dist/backend/index.js';
import { createBackbone } from '../../../dist/backbones/index.js';
import { saveModelFolder } from '../../../dist/checkpoint/modelFolder.js';
import { createProgram } from '../../../dist/cli/main.js';
import { checkConfig } from '../../../dist/config/index.js';
import {
  corruptImage,
  createImageLoader,
  makePairs,
  scanImageFolder,
  writePairs,
  type ImageFolder,
} from '../../../dist/data/index.js';
import {
  CorruptingLoader,
  evaluateRobustness,
  formatRobustness,
  readRobustness,
  verify,
  writeRobustness,
  writeVerificationBin,
  yawBins,
  type Fairness,
  type ImageLoader,
  type Robustness,
  type RobustnessOptions,
} from '../../../dist/evaluate/index.js';
import { crc32c } from '../../../dist/metrics/crc32c.js';
import { writeReport } from '../../../dist/report/index.js';
import { RunFolder } from '../../../dist/train/runFolder.js';
import { imageFolder } from '../../data/fixtures.js';

const SIZE = 16;
const folder = mkdtempSync(join(tmpdir(), 'hyperarc-robustness-'));
let dataset: ImageFolder;
beforeAll(async () => {
  await initBackend('wasm');
  dataset = scanImageFolder(await imageFolder(6, 4));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('CorruptingLoader corrupts what the loader gives, the same with any number of threads and wherever the folder lies', async () => {
  const loader = createImageLoader({ root: dataset.root, workers: 1 });
  const load: ImageLoader = (paths, size) => loader.load(paths, size);
  const paths = dataset.samples.slice(0, 5).map(({ path }) => path);
  const clean = await load(paths, SIZE);
  const results = [];
  for (const workers of [1, 2]) {
    const corrupting = new CorruptingLoader(load, 9, workers);
    results.push(await corrupting.with('noise', 2)(paths, SIZE));
    await corrupting.close();
  }
  expect(results[1]).toEqual(results[0]);
  const n = SIZE * SIZE * 3;
  for (const [i, path] of paths.entries()) {
    const bytes = Uint8Array.from(clean.subarray(i * n, (i + 1) * n), (value) => Math.round((value * 0.5 + 0.5) * 255));
    const expected = await corruptImage(bytes, SIZE, 'noise', 2, 9, crc32c(Buffer.from(path)));
    const received = Array.from(results[0]!.subarray(i * n, (i + 1) * n), (value) =>
      Math.round((value * 0.5 + 0.5) * 255),
    );
    expect(received).toEqual([...expected]);
  }
  await loader.close();
  const absolute = createImageLoader({ workers: 1 });
  const corrupting = new CorruptingLoader((files, size) => absolute.load(files, size), 9, 1);
  expect(
    await corrupting.with('noise', 2)(
      paths.map((path) => join(dataset.root, path)),
      SIZE,
    ),
  ).toEqual(results[0]);
  await corrupting.close();
  await absolute.close();
});

/**
 * "Images" of one pixel row: the number in a path is an angle, and the model's embedding is that direction. A corruption turns
 * every image by its severity's angle, but those with odd numbers the other way.
 */
const ANGLES = [0, 0.137, 1.513, 1.571, 3.01, 3.231, 4.54, 4.717];
const turned =
  (by: number): ImageLoader =>
  (paths, size) => {
    const values = new Float32Array(paths.length * size * size * 3);
    paths.forEach((path, i) => {
      const number = Number(path);
      values[i * size * size * 3] = ANGLES[number]! + (number % 2 === 0 ? by : -by);
    });
    return Promise.resolve(values);
  };
const model = {
  predict: (images: tf.Tensor4D) =>
    tf.tidy(() => {
      const angle = tf.slice(tf.reshape(images, [images.shape[0], -1]), [0, 0], [images.shape[0], 1]);
      return tf.concat([tf.cos(angle), tf.sin(angle)], 1);
    }),
};
const pairs = [0, 1].flatMap((fold) => [
  ...[0, 2, 4, 6].map((a) => ({ a: String(a), b: String(a + 1), same: true, fold })),
  ...[0, 2, 4, 6].map((a) => ({ a: String(a), b: String((a + 3) % 8), same: false, fold })),
]);
const options: RobustnessOptions = {
  model,
  pairs,
  imageSize: 1,
  load: turned(0),
  loadCorrupted: (name, severity) => turned(name === 'blur' ? severity * 0.17 : 0),
  data: 'angles',
  seed: 1,
  flip: false,
  fmr: 0.2,
  corruptions: ['blur', 'noise'],
};
const cosines = (a: (angle: number, i: number) => number, b: (angle: number, i: number) => number): number[] =>
  pairs.map((pair) => {
    const [i, j] = [Number(pair.a), Number(pair.b)];
    return Math.cos(a(ANGLES[i]!, i) - b(ANGLES[j]!, j));
  });
const turn = (by: number) => (angle: number, i: number) => angle + (i % 2 === 0 ? by : -by);
const same = pairs.map((pair) => pair.same);
const folds = pairs.map((pair) => pair.fold);

describe('evaluateRobustness', () => {
  it.each(['both', 'probe'] as const)('verifies every condition with %s corrupted', async (corrupted) => {
    const conditions: string[] = [];
    const robustness = await evaluateRobustness({
      ...options,
      corrupted,
      onProgress: (done, total, condition) => conditions.push(`${done}/${total} ${condition}`),
    });
    expect(conditions[0]).toBe('1/11 clean');
    expect(conditions.at(-1)).toBe('11/11 noise 5');
    const [blur, noise] = robustness.corruptions;
    expect(blur!.severities.map(({ strength }) => strength)).toEqual([1, 2, 3, 4, 6]);
    for (const { severity, accuracy, auc, eer, atCleanThreshold } of blur!.severities) {
      const first = corrupted === 'both' ? turn(0.17 * severity) : turn(0);
      const similarities = cosines(first, turn(0.17 * severity));
      const expected = verify(similarities, same, folds);
      expect(accuracy.mean).toBe(expected.accuracy.mean);
      expect(auc).toBeCloseTo(expected.auc, 9);
      expect(eer).toBeCloseTo(expected.eer, 9);
      const threshold = robustness.cleanThreshold!;
      const share = (kind: boolean) =>
        similarities.filter((value, i) => same[i] === kind && value >= threshold !== kind).length / 8;
      expect(atCleanThreshold).toEqual({ fmr: share(false), fnmr: share(true) });
    }
    // It must matter: same pairs turn apart.
    expect(blur!.severities[4]!.atCleanThreshold!.fnmr).toBeGreaterThan(robustness.clean.atCleanThreshold!.fnmr);
    for (const { severity: _severity, strength: _strength, ...condition } of noise!.severities) {
      expect(condition).toEqual(robustness.clean);
    }
  });

  it('refuses unknown corruptions and rates', async () => {
    await expect(evaluateRobustness({ ...options, corruptions: [] })).rejects.toThrow('corruptions: expected some of');
    await expect(evaluateRobustness({ ...options, corruptions: ['fog' as 'blur'] })).rejects.toThrow('received fog');
    await expect(evaluateRobustness({ ...options, fmr: 0 })).rejects.toThrow('far');
  });

  it('writes, reads and prints, with what is missing said', async () => {
    const yawOf = (path: string) => [0, -20, 40, 10, undefined, 5, 89, 90][Number(path)];
    const robustness = await evaluateRobustness({ ...options, yawOf });
    const path = join(folder, 'robustness.json');
    writeRobustness(path, robustness);
    expect(readRobustness(path)).toEqual(robustness);
    const text = formatRobustness(robustness);
    for (const word of ['blur', 'noise', 'clean', 'σ, pixels', '15–30', 'FMR/FNMR']) expect(text).toContain(word);
    expect(formatRobustness(await evaluateRobustness({ ...options, fmr: 1e-3 }))).toContain(
      'too few different pairs to measure FMR 0.001',
    );
    writeFileSync(path, '[]');
    expect(() => readRobustness(path)).toThrow('hyperarc-robustness-1');
  });
});

it('yawBins: the larger angle decides, its lower edge included, the unknown left out', () => {
  const yaws: Record<string, number> = { a: 0, b: -15, c: 29.9, d: -61, e: 90 };
  const list = [
    ['a', 'b', true],
    ['b', 'a', false],
    ['c', 'a', false],
    ['a', 'd', true],
    ['e', 'a', true],
    ['x', 'a', true],
    ['a', 'a', true],
  ] as const;
  const bins = yawBins(
    list.map(([a, b, isSame]) => ({ a, b, same: isSame, fold: 0 })),
    [0.9, 0.1, 0.6, 0.4, 0.2, 0.1, 1],
    (path) => yaws[path],
    0.5,
  );
  expect(bins).toEqual([
    { from: 0, to: 15, samePairs: 1, differentPairs: 0, auc: null, atCleanThreshold: null },
    { from: 15, to: 30, samePairs: 1, differentPairs: 2, auc: 1, atCleanThreshold: { fmr: 0.5, fnmr: 0 } },
    { from: 60, to: 90, samePairs: 1, differentPairs: 0, auc: null, atCleanThreshold: null },
  ]);
});

describe('the commands', () => {
  let run: RunFolder;
  beforeAll(async () => {
    const config = checkConfig(
      {
        name: 'limits',
        output: join(folder, 'runs'),
        data: { root: dataset.root, heldOut: 5, imageSize: SIZE },
        backbone: { name: 'iresnet10-w16', embeddingSize: 8 },
        backend: 'wasm',
        evaluate: { pairs: 20, folds: 2 },
      },
      'test',
    );
    run = RunFolder.create(config);
    await saveModelFolder(
      createBackbone({ name: 'iresnet10-w16', embeddingSize: 8, inputSize: SIZE, seed: 9 }),
      run.modelPath,
    );
  });

  async function command(...args: string[]): Promise<string> {
    const { write } = process.stdout;
    let printed = '';
    process.stdout.write = ((text: string) => ((printed += text), true)) as typeof process.stdout.write;
    try {
      await createProgram().parseAsync(args, { from: 'user' });
    } finally {
      process.stdout.write = write;
    }
    return printed;
  }

  it('robustness and fairness write their files, and the report shows them', async () => {
    const groups = join(folder, 'groups.yaml');
    writeFileSync(
      groups,
      Array.from({ length: 6 }, (_, i) => `person_${i}: ${i % 2 === 0 ? 'even' : 'odd'}`).join('\n'),
    );
    expect(await command('fairness', run.path, '--groups', groups, '--far', '0.1', '--replicates', '20')).toContain(
      'fairness.json written',
    );
    const attributes = join(folder, 'attributes.csv');
    writeFileSync(attributes, `path,yaw\n${dataset.samples.map(({ path }, i) => `${path},${i % 5}`).join('\n')}\n`);
    const angles = ['--attributes', attributes, '--yaw-unit', 'radians', '--far', '0.1'];
    const printed = await command('robustness', run.path, '--only', 'occlusion', ...angles);
    expect(printed).toContain('share of the area');
    const saved = JSON.parse(readFileSync(join(run.path, 'robustness.json'), 'utf8')) as Robustness;
    expect(saved.yaw!.some(({ from }) => from >= 45)).toBe(true);
    const report = readFileSync(await writeReport({ runFolder: run.path }), 'utf8');
    for (const text of ['Robustness', 'occlusion', 'share of the area', 'Groups of people', 'GARBE', 'By pose'])
      expect(report).toContain(text);
    await expect(command('robustness', run.modelPath, '--only', 'blur')).rejects.toThrow('give --data');
    await expect(command('robustness', run.path, '--only', 'maks')).rejects.toThrow('did you mean mask?');
  });

  it('take a verification set: the figures of the same images and pairs in folders', async () => {
    const list = makePairs(dataset, { pairs: 40, folds: 10, seed: 3 });
    const [pairsFile, set] = [join(folder, 'pairs.txt'), join(folder, 'mine.bin')];
    await writePairs(pairsFile, list);
    await writeVerificationBin(set, dataset.root, list, { size: SIZE });
    const inFolders = ['--data', dataset.root, '--pairs', pairsFile];
    const robustness = async (...source: string[]) => {
      await command('robustness', run.path, ...source, '--only', 'blur,low resolution,noise', '--far', '0.1');
      return JSON.parse(readFileSync(join(run.path, 'robustness.json'), 'utf8')) as Robustness;
    };
    const [ofFolders, ofSet] = [await robustness(...inFolders), await robustness('--set', set)];
    expect(ofSet).toMatchObject({ data: set, pairs: 40, images: ofFolders.images, clean: ofFolders.clean });
    expect(ofSet.cleanThreshold).toBe(ofFolders.cleanThreshold);
    const [blur, low, noise] = ofSet.corruptions;
    expect([blur, low]).toEqual(ofFolders.corruptions.slice(0, 2));
    expect(blur!.severities.at(-1)).not.toMatchObject({ auc: ofSet.clean.auc });
    // Draws go by an image's name, which is another in a set.
    expect(noise!.name).toBe('noise');
    expect((await robustness('--set', set)).corruptions).toEqual(ofSet.corruptions);

    const evenOrOdd = (path: string) => (Number(/person_(\d)/.exec(path)![1]) % 2 === 0 ? 'even' : 'odd');
    const [yaml, csv] = [join(folder, 'people.yaml'), join(folder, 'images.csv')];
    writeFileSync(yaml, dataset.identities.map((name) => `${name}: ${evenOrOdd(name)}`).join('\n'));
    const images = [...list].sort((x, y) => x.fold - y.fold).flatMap(({ a, b }) => [a, b]);
    const lines = images.map((path, i) => `${i},${evenOrOdd(path)},${path.split('/')[0]}`);
    writeFileSync(csv, `image,group,identity\n${lines.join('\n')}\n`);
    const fairness = async (...args: string[]) => {
      await command('fairness', run.path, ...args, '--far', '0.1', '--replicates', '20');
      return JSON.parse(readFileSync(join(run.path, 'fairness.json'), 'utf8')) as Fairness;
    };
    const expected = await fairness(...inFolders, '--groups', yaml);
    const received = await fairness('--set', set, '--groups', csv);
    expect(received).toEqual({ ...expected, createdAt: received.createdAt, data: set, groupSource: csv });
    await expect(fairness('--set', set, '--groups', yaml)).rejects.toThrow(/expected a column pair or image/);
    for (const name of ['robustness', 'fairness']) {
      const program = createProgram();
      program.commands
        .find((entry) => entry.name() === name)!
        .exitOverride()
        .configureOutput({ writeErr: () => {} });
      const args = [name, run.path, '--set', set, '--data', 'x', ...(name === 'fairness' ? ['--groups', csv] : [])];
      await expect(program.parseAsync(args, { from: 'user' })).rejects.toThrow(
        "option '--set <file>' cannot be used with option '--data <folder>'",
      );
    }
  });
});
