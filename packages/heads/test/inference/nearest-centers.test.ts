import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { PartialFC } from '../../dist/engine/index.js';
import { arcFace, classify, nearestCenters, type EngineCenters } from '../../dist/index.js';
import { cosine, makeHead, normals, type Shape } from './support.js';

beforeAll(() => tf.setBackend('wasm'));

/** All classes of one sample by descending cosine, equal ones by ascending index, in float64. */
function ranked({ classes, subCenters, dim }: Shape, weights: Float32Array, points: Float32Array, i: number) {
  const best = Array.from({ length: classes }, (_, j) => {
    const ofClass = Array.from({ length: subCenters }, (__, k) => cosine(points, i, weights, j * subCenters + k, dim));
    return { index: j, cosine: Math.max(...ofClass) };
  });
  return best.sort((a, b) => b.cosine - a.cosine || a.index - b.index);
}

async function rejectionOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe.each(Object.entries(makeHead))('nearest centres of %s', (_, make) => {
  it.each([1, 3])('are those of brute force with K = %i', async (subCenters) => {
    const shape = { classes: 37, subCenters, dim: 9 };
    const [weights, points] = [normals(5, 37 * subCenters * 9), normals(6, 11 * 9)];
    const head = make(shape, weights);
    const x = tf.tensor2d(points, [11, 9]);
    for (const k of [1, 4, 37]) {
      const { indices, cosines } = await nearestCenters(head, x, k);
      for (let i = 0; i < 11; i++) {
        const expected = ranked(shape, weights, points, i).slice(0, k);
        expect(Array.from(indices.subarray(i * k, i * k + k))).toEqual(expected.map(({ index }) => index));
        expected.forEach((near, place) => expect(cosines[i * k + place]).toBeCloseTo(near.cosine, 5));
      }
    }
    const { classes, cosines } = await classify(head, x);
    const nearest = await nearestCenters(head, x, 1);
    expect(classes).toEqual(nearest.indices);
    expect(cosines).toEqual(nearest.cosines);
    x.dispose();
    head.dispose();
  });

  it('give ties to the lowest class', async () => {
    // Classes 1, 2, 4 are the same direction, 0 and 3 the opposite one.
    const head = make({ classes: 5, subCenters: 1, dim: 2 }, Float32Array.of(-1, 0, 1, 0, 1, 0, -1, 0, 1, 0));
    const x = tf.tensor2d([2, 0, 0, 0], [2, 2]);
    const { indices, cosines } = await nearestCenters(head, x, 5);
    expect(Array.from(indices)).toEqual([1, 2, 4, 0, 3, 0, 1, 2, 3, 4]);
    expect(Array.from(cosines).map((value) => value + 0)).toEqual([1, 1, 1, -1, -1, 0, 0, 0, 0, 0]);
    x.dispose();
    head.dispose();
  });

  it('answer bad input with an error that names it, and leave no tensors', async () => {
    const before = tf.memory().numTensors;
    const head = make({ classes: 3, subCenters: 1, dim: 2 }, normals(1, 6));
    const x = tf.ones([2, 2]) as tf.Tensor2D;
    const bad: [Promise<unknown>, string, string][] = [
      [nearestCenters(head, x, 0), 'E_RANGE', 'k: expected an integer in [1, 3]'],
      [nearestCenters(head, x, 4), 'E_RANGE', 'k:'],
      [nearestCenters(head, x, 1.5), 'E_RANGE', 'k:'],
      [
        classify(
          head,
          tf.tidy(() => tf.keep(tf.ones([2, 3]) as tf.Tensor2D)),
        ),
        'E_SHAPE',
        'embeddings: expected [B, 2]',
      ],
      [classify(head, [[1, 2]] as never), 'E_DTYPE', 'embeddings'],
      [classify(head, tf.tensor2d([1, 2, NaN, 4], [2, 2])), 'E_NONFINITE', 'embeddings[1]'],
      [classify({} as never, x), 'E_DTYPE', 'centers'],
    ];
    for (const [work, code, text] of bad) {
      expect(await rejectionOf(work)).toMatchObject({ code, message: expect.stringContaining(text) as string });
    }
    await classify(head, x);
    head.dispose();
    expect(await rejectionOf(classify(head, x))).toMatchObject({ code: 'E_DISPOSED' });
    x.dispose();
    // The two inputs made in the list.
    expect(tf.memory().numTensors).toBe(before + 2);
  });
});

describe('nearest centres of many classes', () => {
  it('find 100 000 classes again, whatever the batch', async () => {
    const [classes, dim, batch] = [100_000, 32, 400];
    using head = new PartialFC({ classes, dim, margin: arcFace(), device: 'cpu', seed: 5 });
    const labels = Int32Array.from({ length: batch }, (_, i) => (i * 7919) % classes);
    const rows = head.centers.readRowsAt('weights', Float64Array.from(labels));
    const noise = normals(8, rows.length);
    const x = tf.tensor2d(
      rows.map((value, e) => value + 0.001 * noise[e]),
      [batch, dim],
    );
    const { classes: found, cosines } = await classify(head, x);
    expect(found).toEqual(labels);
    expect(Math.min(...cosines)).toBeGreaterThan(0.9);
    x.dispose();
  });

  it('never ask for more than 64 MiB of cosines at a time, and place every block', async () => {
    const [classes, dim, batch] = [100_000, 2, 1000];
    const blocks: number[] = [];
    // The nearest class of (a, ·) is class a: a stand-in for the engine that only counts.
    const centers: EngineCenters = {
      shape: [classes, 1, dim],
      config: { firstClass: 0, globalClasses: classes },
      logitsAsync: (points) => {
        blocks.push(points.length / dim);
        const cosines = new Float32Array((points.length / dim) * classes);
        for (let i = 0; i < points.length / dim; i++) cosines[i * classes + points[i * dim]] = 0.5;
        return Promise.resolve(cosines);
      },
      readRowsAt: () => new Float32Array(0),
    };
    const wanted = Int32Array.from({ length: batch }, (_, i) => (i * 31) % classes);
    const x = tf.tensor2d(
      Float32Array.from({ length: batch * dim }, (_, e) => wanted[e >> 1]),
      [batch, dim],
    );
    expect((await classify({ centers }, x)).classes).toEqual(wanted);
    expect(blocks.reduce((sum, count) => sum + count)).toBe(batch);
    expect(Math.max(...blocks) * classes * 4).toBeLessThanOrEqual(64 * 2 ** 20);
    expect(Math.max(...blocks)).toBeGreaterThan(100);
    // On a shard, indices are global.
    const shard = { ...centers, config: { firstClass: 500, globalClasses: 200_000 } };
    const few = tf.slice(x, [0, 0], [3, -1]);
    expect(Array.from((await classify({ centers: shard }, few)).classes)).toEqual([500, 531, 562]);
    tf.dispose([x, few]);
  });
});
