import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { PartialFC } from '../../dist/engine/index.js';
import { arcFace, dropNoise, subCenterReport, type LabelledBatch } from '../../dist/index.js';
import { expectCode } from '../support.js';
import { randomNumbers } from '../losses/support.js';
import { cosine, makeHead, normals } from './support.js';

beforeAll(() => tf.setBackend('wasm'));

const degrees = (c: number) => (Math.acos(Math.min(1, Math.max(-1, c))) * 180) / Math.PI;

async function expectRejection(work: Promise<unknown>, code: string, text: string): Promise<void> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expectCode(
    () => {
      throw error;
    },
    code,
    text,
  );
}

/** A set in batches, as a loader would give it; each batch's tensor is freed when the next is asked for. */
async function* inBatches(
  points: Float32Array,
  labels: Int32Array,
  dim: number,
  size: number,
): AsyncGenerator<LabelledBatch> {
  for (let start = 0; start < labels.length; start += size) {
    const ofBatch = labels.subarray(start, start + size);
    const embeddings = tf.tensor2d(points.subarray(start * dim, (start + ofBatch.length) * dim), [ofBatch.length, dim]);
    yield await Promise.resolve({ embeddings, labels: ofBatch });
    embeddings.dispose();
  }
}

describe.each(Object.entries(makeHead))('subCenterReport of %s', (_, make) => {
  it.each([1, 3])('is that of brute force with K = %i', async (subCenters) => {
    const [classes, dim, count] = [9, 5, 40];
    const weights = normals(5, classes * subCenters * dim);
    const points = normals(6, count * dim);
    // Class 8 has no samples, class 7 a single one that lies opposite to all of its sub-centres' sum.
    const labels = Int32Array.from({ length: count }, (_, i) => (i === 0 ? 7 : i % 7));
    const head = make({ classes, subCenters, dim }, weights);
    const before = tf.memory().numTensors;
    const report = await subCenterReport(head, inBatches(points, labels, dim, 13), { maxAngleDegrees: 60 });
    expect(tf.memory().numTensors).toBe(before);

    const angle = (i: number, k: number) => degrees(cosine(points, i, weights, labels[i] * subCenters + k, dim));
    const winners = Array.from(labels, (_, i) => {
      const angles = Array.from({ length: subCenters }, (__, k) => angle(i, k));
      return angles.indexOf(Math.min(...angles));
    });
    const dominant = Array.from({ length: classes }, (_, j) => {
      const votes = Array.from(
        { length: subCenters },
        (__, k) => winners.filter((w, i) => labels[i] === j && w === k).length,
      );
      return Math.max(...votes) === 0 ? -1 : votes.indexOf(Math.max(...votes));
    });
    expect(Array.from(report.labels)).toEqual(Array.from(labels));
    expect(Array.from(report.winner)).toEqual(winners);
    expect(Array.from(report.dominant)).toEqual(dominant);
    labels.forEach((label, i) => {
      expect(report.winnerAngle[i]).toBeCloseTo(angle(i, winners[i]), 3);
      expect(report.dominantAngle[i]).toBeCloseTo(angle(i, dominant[label]), 3);
      expect(report.keep[i]).toBe(angle(i, dominant[label]) <= 60 ? 1 : 0);
    });
    const kept = Array.from(
      { length: classes },
      (_, j) => labels.filter((label, i) => label === j && report.keep[i]).length,
    );
    expect(Array.from(report.keptOfClass)).toEqual(kept);
    expect(Array.from(report.emptyClasses)).toEqual(kept.flatMap((n, j) => (n === 0 ? [j] : [])));
    expect(kept[8]).toBe(0);
    expect(new Set(report.keep).size).toBe(2);

    const cleaned = dropNoise(report);
    expect(cleaned.classes).toBe(kept.filter((n) => n > 0).length);
    expect(cleaned.samples.length).toBe(kept.reduce((a, b) => a + b));
    cleaned.samples.forEach((sample, m) => {
      expect(report.keep[sample]).toBe(1);
      expect(cleaned.labels[m]).toBe(cleaned.classOf[labels[sample]]);
    });
    expect([...new Set(cleaned.labels)].sort((a, b) => a - b)).toEqual([...Array(cleaned.classes).keys()]);
    for (const empty of report.emptyClasses) expect(cleaned.classOf[empty]).toBe(-1);
    cleaned.classOf.forEach((now, old) => {
      if (now >= 0) expect(cleaned.dominantRows[now]).toBe(old * subCenters + dominant[old]);
    });
    head.dispose();
  });

  it('gives ties to the lowest sub-centre, puts zero vectors at 90°, and keeps what lies at the limit', async () => {
    // Sub-centres of class 0 are equal; class 1's second one is zero.
    const head = make({ classes: 2, subCenters: 2, dim: 2 }, Float32Array.of(1, 0, 1, 0, 0, 1, 0, 0));
    const embeddings = tf.tensor2d([3, 0, 0, 0, 5, 0, 0, -1], [4, 2]);
    const report = await subCenterReport(head, [{ embeddings, labels: [0, 0, 1, 1] }], { maxAngleDegrees: 90 });
    // Sample 2 is at 90° to both of its class's, sample 3 at 180° and, to the zero one, at 90°: one vote each.
    expect(Array.from(report.winner)).toEqual([0, 0, 0, 1]);
    expect(Array.from(report.dominant)).toEqual([0, 0]);
    expect(Array.from(report.winnerAngle)).toEqual([0, 90, 90, 90]);
    expect(Array.from(report.dominantAngle)).toEqual([0, 90, 90, 180]);
    expect(Array.from(report.keep)).toEqual([1, 1, 1, 0]);
    embeddings.dispose();
    head.dispose();
  });

  it('reports on nothing, and answers bad input with an error that names it', async () => {
    const head = make({ classes: 2, subCenters: 2, dim: 2 }, normals(3, 8));
    const nothing = await subCenterReport(head, []);
    expect(nothing.labels.length).toBe(0);
    expect(Array.from(nothing.emptyClasses)).toEqual([0, 1]);
    expect(dropNoise(nothing)).toMatchObject({ classes: 0, samples: new Int32Array(0) });
    const embeddings = tf.ones([1, 2]) as tf.Tensor2D;
    await expectRejection(subCenterReport(head, [{ embeddings, labels: [2] }]), 'E_RANGE', 'labels[0]');
    await expectRejection(subCenterReport(head, [{ embeddings, labels: [] }]), 'E_SHAPE', 'labels');
    await expectRejection(subCenterReport(head, [], { maxAngleDegrees: 181 }), 'E_RANGE', 'maxAngleDegrees');
    await expectRejection(subCenterReport(head, { embeddings, labels: [2] } as never), 'E_RANGE', 'batches: expected');
    await expectRejection(subCenterReport(head, [], { angle: 75 } as never), 'E_RANGE', 'subCenterReport.angle');
    head.dispose();
    embeddings.dispose();
  });
});

it('refuses a shard of the classes', async () => {
  const { ClassCenters } = await import('@hyperarc/kernels-cuda');
  const centers = ClassCenters.create({ classes: 3, dim: 2, firstClass: 3, globalClasses: 9, device: 'cpu' });
  await expectRejection(subCenterReport({ centers }, []), 'E_RANGE', 'head: expected centres of every class');
  centers.dispose();
});

describe('a head trained on noisy labels', () => {
  it('finds the planted outliers by its sub-centres', async () => {
    const [classes, dim, perClass] = [10, 16, 40];
    // Identities at right angles, as a trained backbone puts them.
    const directions = Float32Array.from({ length: classes * dim }, (_, e) => Number(Math.floor(e / dim) === e % dim));
    const noise = normals(22, classes * perClass * dim);
    const labels = Int32Array.from({ length: classes * perClass }, (_, i) => i % classes);
    // Three in ten samples show another identity than their label says.
    const random = randomNumbers(23);
    const isOutlier = Array.from(labels, () => random() < -0.4);
    const shown = labels.map((label, i) =>
      isOutlier[i] ? (label + 1 + Math.floor(4.5 * (random() + 1))) % classes : label,
    );
    const points = Float32Array.from(
      noise,
      (value, e) => directions[shown[Math.floor(e / dim)] * dim + (e % dim)] + 0.08 * value,
    );
    using head = new PartialFC({
      classes,
      dim,
      subCenters: 3,
      margin: arcFace({ scale: 16, margin: 0.2 }),
      seed: 4,
      device: 'cpu',
    });
    const x = tf.tensor2d(points, [labels.length, dim]);
    // Few steps: with embeddings that cannot move, centres would in the end lean towards the noise.
    for (let t = 0; t < 40; t++) {
      head.loss(x, labels).dispose();
      head.update({ learningRate: 0.05, momentum: 0.9, weightDecay: 0 });
    }
    const report = await subCenterReport(head, inBatches(points, labels, dim, 64));
    const dropped = isOutlier.map((_, i) => report.keep[i] === 0);
    const found = dropped.filter((drop, i) => drop && isOutlier[i]).length;
    const precision = found / dropped.filter(Boolean).length;
    const recall = found / isOutlier.filter(Boolean).length;
    expect(precision).toBeGreaterThan(0.95);
    expect(recall).toBeGreaterThan(0.95);
    expect(report.emptyClasses.length).toBe(0);
    x.dispose();
  });
});
