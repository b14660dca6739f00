import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  embedImages,
  evaluatePairs,
  formatEvaluation,
  pairSimilarities,
  rawPixelModel,
  readEvaluation,
  similarityHistogram,
  worstPairs,
  writeEvaluation,
  type EmbeddingModel,
  type ImagePair,
} from '../../dist/evaluate/index.js';

const SIZE = 4;

/** Image "person/sample": the person decides a pattern, the sample a little noise, as no decoder is under test here. */
async function load(paths: readonly string[], size: number): Promise<Float32Array> {
  const pixels = new Float32Array(paths.length * size * size * 3);
  paths.forEach((path, n) => {
    const [person, sample] = path.split('/').map(Number) as [number, number];
    for (let i = 0; i < size * size * 3; i++) {
      pixels[n * size * size * 3 + i] = Math.sin((person + 1) * (i + 1) * 1.7) * 0.8 + Math.sin(sample * 31 + i) * 0.05;
    }
  });
  return pixels;
}

/** A model that is not symmetric in x, so that flipping matters: the mean of each column, weighted. */
const columnModel: EmbeddingModel = {
  predict: (images) =>
    tf.tidy(() =>
      tf.reshape(tf.mul(tf.mean(images, 1), tf.tensor3d([1, 2, 3, 4], [1, SIZE, 1])), [images.shape[0], -1]),
    ),
};

function makePairs(people: number): ImagePair[] {
  return Array.from({ length: people * 2 }, (_, i) => ({
    a: `${i >> 1}/0`,
    b: i % 2 === 0 ? `${i >> 1}/1` : `${((i >> 1) + 1) % people}/1`,
    same: i % 2 === 0,
    fold: (i >> 1) % 4,
  }));
}

beforeAll(() => tf.setBackend('cpu'));

describe('embedImages', () => {
  it('adds the mirrored embedding and scales to unit length, whatever the batch size', async () => {
    const paths = ['0/0', '1/0', '2/3', '3/1', '4/4'];
    const pixels = await load(paths, SIZE);
    const column = (n: number, x: number, c: number) => {
      let sum = 0;
      for (let y = 0; y < SIZE; y++) sum += pixels[((n * SIZE + y) * SIZE + x) * 3 + c]!;
      return sum / SIZE;
    };
    for (const batchSize of [1, 2, 5, 64]) {
      const { valuesND, dim } = await embedImages(columnModel, paths, { imageSize: SIZE, load, batchSize });
      expect(dim).toBe(SIZE * 3);
      paths.forEach((_, n) => {
        const expected = Array.from({ length: dim }, (_, d) => {
          const x = Math.floor(d / 3);
          return (x + 1) * (column(n, x, d % 3) + column(n, SIZE - 1 - x, d % 3));
        });
        const norm = Math.hypot(...expected);
        expected.forEach((value, d) => expect(valuesND[n * dim + d]).toBeCloseTo(value / norm, 5));
      });
    }
  });

  it('without flip embeds the image alone', async () => {
    const { valuesND } = await embedImages(rawPixelModel, ['7/1'], { imageSize: SIZE, load, flip: false });
    const pixels = await load(['7/1'], SIZE);
    const norm = Math.hypot(...pixels);
    valuesND.forEach((value, d) => expect(value).toBeCloseTo(pixels[d]! / norm, 6));
  });

  it('leaves no tensor behind', async () => {
    const before = tf.memory().numTensors;
    await embedImages(columnModel, ['0/0', '1/0', '2/0'], { imageSize: SIZE, load, batchSize: 2 });
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each([
    ['NaN', (x: tf.Tensor4D) => tf.fill([x.shape[0], 3], NaN), /E_NONFINITE: embedding of 5\/5/],
    ['a zero vector', (x: tf.Tensor4D) => tf.zeros([x.shape[0], 3]), /E_RANGE: embedding of 5\/5/],
    ['a wrong shape', (x: tf.Tensor4D) => x, /E_SHAPE: model\.predict: expected embeddings \[1, D\]/],
  ])('names the image on %s', async (_, predict, message) => {
    await expect(embedImages({ predict }, ['5/5'], { imageSize: SIZE, load })).rejects.toThrow(message);
  });

  it('refuses a batch size of zero', async () => {
    const act = embedImages(rawPixelModel, ['5/5'], { imageSize: SIZE, load, batchSize: 0 });
    await expect(act).rejects.toThrow(/E_RANGE: batchSize/);
  });
});

describe('pairs', () => {
  it('similarity is the cosine, clamped', () => {
    const embeddings = { paths: ['a', 'b', 'c'], valuesND: Float32Array.of(1, 0, 0.6, 0.8, -1, 0), dim: 2 };
    const pair = (a: string, b: string) => ({ a, b, same: true, fold: 0 });
    const values = pairSimilarities(embeddings, [pair('a', 'b'), pair('a', 'a'), pair('a', 'c')]);
    expect(values[0]).toBeCloseTo(0.6, 6);
    expect([...values.slice(1)]).toEqual([1, -1]);
    expect(() => pairSimilarities(embeddings, [pair('a', 'x')])).toThrow(/E_RANGE: pairs: .*received x/);
  });

  it('histogram counts every pair once, ends included', () => {
    const histogram = similarityHistogram([-1, 1, 0.999, 0, -0.26], [true, true, false, false, true], 8);
    expect(histogram.same).toEqual([1, 0, 1, 0, 0, 0, 0, 1]);
    expect(histogram.different).toEqual([0, 0, 0, 0, 1, 0, 0, 1]);
    expect(histogram.edges).toEqual([-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]);
    expect(similarityHistogram([0.3, 0.3], [true, false], 4)).toMatchObject({
      same: [1, 0, 0, 0],
      different: [1, 0, 0, 0],
    });
  });

  it('worst pairs come worst first', () => {
    const pairs = makePairs(3);
    const worst = worstPairs([0.5, 0.1, -0.2, 0.9, 0.3, 0.4], pairs, 2);
    expect(worst.falseRejects.map((pair) => pair.similarity)).toEqual([-0.2, 0.3]);
    expect(worst.falseAccepts.map((pair) => pair.similarity)).toEqual([0.9, 0.4]);
  });
});

describe('evaluatePairs', () => {
  const blind: EmbeddingModel = { predict: (images) => tf.tidy(() => tf.add(tf.zeros([images.shape[0], 2]), 1)) };

  it('ranks a model that sees above one that does not, and survives the file', async () => {
    const pairs = makePairs(24);
    const evaluation = await evaluatePairs({
      pairs,
      models: { blind, 'raw pixels': rawPixelModel },
      imageSize: SIZE,
      load,
      data: 'patterns',
    });
    expect(evaluation.models.map((model) => model.name)).toEqual(['blind', 'raw pixels']);
    expect(evaluation.models[0]!.accuracy.mean).toBe(0.5);
    expect(evaluation.models[1]!.accuracy.mean).toBeGreaterThan(0.9);
    expect(evaluation.worst.falseRejects).toHaveLength(8);
    expect(evaluation.images).toBe(48);

    const folder = await mkdtemp(join(tmpdir(), 'hyperarc-evaluate-'));
    try {
      const path = join(folder, 'evaluation.json');
      writeEvaluation(path, evaluation);
      expect(readEvaluation(path)).toEqual(evaluation);
      expect(await readdir(folder)).toEqual(['evaluation.json']);
      await writeFile(path, '{"format": "hyperarc-evalua');
      expect(() => readEvaluation(path)).toThrow(/E_FORMAT/);
    } finally {
      await rm(folder, { recursive: true });
    }
    const table = formatEvaluation(evaluation).split('\n');
    expect(table[0]).toBe('patterns: 24 same and 24 different pairs of 48 images');
    expect(table[2]).toMatch(/^blind +50\.00 ± 0\.00 /);
    expect(table.at(-1)).toBe('n/a: TAR@1e-4 needs at least 10000 different pairs, has 24');
  });
});
