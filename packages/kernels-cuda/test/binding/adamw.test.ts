/** Centres of AdamW: what torch.optim.AdamW prints, their state in files and under resize, and what is refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { ClassCenters, openDevice } from '../../dist/index.js';
import { expectRows } from '../contract/compare.js';
import { bits, expectError, makeBatch, margin, sgd, testDevice } from './support.js';

interface Step {
  embeddings: number[];
  labels: number[];
  sampled: number[] | null;
  weights: number[];
  momentum: number[];
  secondMoment: number[];
}
interface Vectors {
  classes: number;
  dim: number;
  scale: number;
  m3: number;
  options: { learningRate: number; betas: [number, number]; epsilon: number; weightDecay: number };
  dense: { centers: number[]; steps: Step[] };
  sampled: { centers: number[]; steps: Step[] };
}
const vectors = JSON.parse(readFileSync(new URL('../vectors/adamw.json', import.meta.url), 'utf8')) as Vectors;

const folder = mkdtempSync(join(tmpdir(), 'hyperarc-adamw-'));
const path = join(folder, 'centers.safetensors');
const device = openDevice(testDevice, { threads: 2 });
afterAll(() => {
  device.dispose();
  rmSync(folder, { recursive: true });
});

const BUFFERS = ['weights', 'momentum', 'secondMoment'] as const;
const shape = { classes: 11, dim: 6, optimizer: 'adamw' as const };
const options = { learningRate: 1e-3 };

function moved(updates = 3, change: object = {}): ClassCenters {
  const centers = device.createCenters({ ...shape, ...change });
  const batch = makeBatch({ batch: 4, ...shape });
  for (let t = 0; t < updates; t += 1) centers.update(centers.forward(batch).step, options);
  return centers;
}

const state = (centers: ClassCenters) => {
  const rows = centers.shape[0] * centers.shape[1];
  return { updates: centers.updates, buffers: BUFFERS.map((buffer) => bits(centers.readRows(0, rows, buffer))) };
};

describe('class centres of AdamW', () => {
  it.each(['dense', 'sampled'] as const)('move as torch.optim.AdamW moves them: %s', (which) => {
    const { classes, dim, scale, m3, options: numbers } = vectors;
    const { centers: first, steps } = vectors[which];
    using centers = device.createCenters({ classes, dim, optimizer: 'adamw' });
    centers.writeRows(0, Float32Array.from(first));
    const cosFace = { ...margin, scale, m2: 0, m3, fallback: 'none' as const };
    for (const [t, { embeddings, labels, sampled, ...expected }] of steps.entries()) {
      const batch = { embeddings: Float32Array.from(embeddings), labels: Int32Array.from(labels), margin: cosFace };
      const drawn = sampled === null ? undefined : Int32Array.from(sampled);
      centers.update(centers.forward({ ...batch, sampled: drawn }).step, numbers);
      expect(centers.updates).toBe(t + 1);
      for (const buffer of BUFFERS) {
        const tolerance = { relativeNorm: 1e-5, worstRow: 1e-4 };
        expectRows(buffer, centers.readRows(0, classes, buffer), expected[buffer], dim, tolerance);
      }
    }
  });

  it('hold two moments: 12 bytes a number', () => {
    const plan = device.plan({ classes: 1000, dim: 64, batch: 8, optimizer: 'adamw' });
    const kept = plan.parts.filter(({ persistent }) => persistent);
    expect(kept.map(({ name }) => name)).toEqual(['weights', 'first moment', 'second moment', 'inverse norms']);
    expect(plan.persistentBytes).toBe(1000 * (12 * 64 + 4));
    using centers = device.createCenters({ classes: 1000, dim: 64, optimizer: 'adamw' });
    expect(centers.bytes).toBe(plan.persistentBytes);
    expect(centers.config).toMatchObject({ optimizer: 'adamw', momentum: true });
  });

  it('count every update, by the promise too, and nothing else', async () => {
    using centers = device.createCenters(shape);
    const batch = makeBatch({ batch: 4, ...shape });
    const { step } = centers.forward(batch);
    expect(centers.updates).toBe(0);
    await centers.updateAsync(step, options);
    expect(centers.updates).toBe(1);
    await expectError(() => centers.update(step, options), 'E_STALE');
    await expectError(() => centers.updateAsync(step, options), 'E_STALE');
    expect(centers.updates).toBe(1);
    centers.update(centers.forward(batch).step, options);
    expect(centers.updates).toBe(2);
    centers.seed(4);
    expect(centers.updates).toBe(0);
  });

  it('take the defaults of the backbone’s AdamW', () => {
    using plain = moved(2);
    using given = device.createCenters(shape);
    const batch = makeBatch({ batch: 4, ...shape });
    const all = {
      learningRate: 1e-3,
      betas: [0.9, 0.999],
      epsilon: 1e-8,
      weightDecay: 0.1,
      unsampled: 'frozen',
    } as const;
    for (let t = 0; t < 2; t += 1) given.update(given.forward(batch).step, all);
    expect(state(given)).toEqual(state(plain));
  });

  it('go on from their file as if they had not stopped, and depend on the number of updates', async () => {
    using centers = moved();
    await centers.save(path);
    using loaded = await ClassCenters.load(path, { device });
    using miscounted = await ClassCenters.load(path, { device });
    expect(loaded.config).toEqual(centers.config);
    expect(state(loaded)).toEqual(state(centers));
    miscounted.setUpdates(4);
    const batch = makeBatch({ batch: 4, ...shape }, 8);
    for (const each of [centers, loaded, miscounted]) each.update(each.forward(batch).step, options);
    expect(state(loaded)).toEqual(state(centers));
    expect(state(miscounted)).not.toEqual(state(centers));
  });

  it('write a file of three tensors, whose header says so', async () => {
    using centers = moved();
    await centers.save(path);
    const file = readFileSync(path);
    const end = 8 + Number(file.readBigUInt64LE(0));
    const { __metadata__: metadata, ...tensors } = JSON.parse(file.subarray(8, end).toString());
    expect(Object.keys(tensors)).toEqual([...BUFFERS]);
    expect(tensors.secondMoment).toEqual({ dtype: 'F32', shape: [11, 1, 6], data_offsets: [528, 792] });
    expect(metadata).toMatchObject({ optimizer: 'adamw', updates: '3' });
    // Any bit of the header, the first and the last of the data, and the sign of the last number, a second moment.
    const places = [...Array.from({ length: end }, (_, i) => [i, i % 8] as const), [end, 0], [file.length - 1, 7]];
    for (const [place, bit] of places as [number, number][]) {
      const broken = Buffer.from(file);
      broken[place]! ^= 1 << bit;
      writeFileSync(path, broken);
      await expectError(() => ClassCenters.load(path, { device }), 'E_FORMAT');
    }
  });

  it('can be read without their state, as centres of SGD without momentum', async () => {
    using centers = moved();
    await centers.save(path);
    using bare = await ClassCenters.load(path, { device, momentum: false });
    expect(bare.config).toMatchObject({ optimizer: 'sgd', momentum: false });
    expect(bits(bare.readRows(0, 11))).toEqual(bits(centers.readRows(0, 11)));
  });

  it('keep moments and count on resize, and give new classes moments of zero', () => {
    using centers = moved(3, { subCenters: 2 });
    const before = BUFFERS.map((buffer) => bits(centers.readRows(0, 22, buffer)));
    centers.resize(15);
    expect(centers.updates).toBe(3);
    expect(BUFFERS.map((buffer) => bits(centers.readRows(0, 22, buffer)))).toEqual(before);
    for (const buffer of ['momentum', 'secondMoment'] as const) {
      expect(centers.readRows(22, 8, buffer)).toEqual(new Float32Array(48));
    }
    expect(centers.readRows(22, 8).every((value) => value !== 0)).toBe(true);
    centers.resize(4);
    expect(bits(centers.readRows(0, 8, 'secondMoment'))).toEqual(before[2]!.subarray(0, 8 * 6 * 4));
  });

  it('read and write rows of the second moment by number', () => {
    using centers = moved();
    const rows = Float32Array.from({ length: 12 }, (_, i) => i);
    centers.writeRowsAt('secondMoment', [9, 2], rows);
    expect(centers.readRowsAt('secondMoment', [2])).toEqual(rows.slice(6));
    expect(centers.readRows(9, 1, 'secondMoment')).toEqual(rows.slice(0, 6));
  });
});

describe('AdamW refuses', () => {
  it.each([
    [{ momentum: false }, /^E_RANGE: momentum: expected true with optimizer 'adamw', .*received false; leave it out/],
    [{ optimizer: 'adam' }, /^E_RANGE: optimizer: expected one of sgd, adamw, received 'adam'/],
  ])('to be made with %o', (change, message) =>
    expectError(() => device.createCenters({ ...shape, ...change } as never), 'E_RANGE', message),
  );

  it.each([
    [
      { momentum: 0.9 },
      /^E_RANGE: momentum: expected none for class centres made with optimizer 'adamw', received 0.9/,
    ],
    [{ betas: [0.9] }, /^E_RANGE: betas: expected two numbers in \[0, 1\), received \[0.9\]/],
    [{ betas: [0.9, 1] }, /^E_RANGE: betas: .*received \[0.9, 1\]/],
    [{ betas: [-0.1, 0.9] }, /^E_RANGE: betas/],
    [{ betas: ['0.9', 0.9] }, /^E_RANGE: betas/],
    [{ betas: 0.9 }, /^E_RANGE: betas: .*received 0.9/],
    [{ epsilon: 0 }, /^E_RANGE: epsilon: expected a finite number in \[1e-30, 1\], received 0/],
    [{ epsilon: Number.NaN }, /^E_RANGE: epsilon/],
    [{ learningRate: -1 }, /^E_RANGE: learningRate/],
    [{ weightDecay: -1 }, /^E_RANGE: weightDecay/],
  ])('to be updated with %o, and stays as it was', async (change, message) => {
    using centers = moved(1);
    const before = state(centers);
    const { step } = centers.forward(makeBatch({ batch: 4, ...shape }));
    await expectError(() => centers.update(step, { ...options, ...change } as never), 'E_RANGE', message);
    await expectError(() => centers.updateAsync(step, { ...options, ...change } as never), 'E_RANGE', message);
    expect(state(centers)).toEqual(before);
  });

  it('its own numbers and its own state for centres of SGD', async () => {
    using plain = device.createCenters({ ...shape, optimizer: 'sgd' });
    const { step } = plain.forward(makeBatch({ batch: 4, ...shape }));
    const none = (name: string) =>
      new RegExp(`^E_RANGE: ${name}: expected none for class centres made with optimizer 'sgd', received .*; leave it`);
    await expectError(() => plain.update(step, { ...sgd, betas: [0.9, 0.99] }), 'E_RANGE', none('betas'));
    await expectError(() => plain.update(step, { ...sgd, epsilon: 1e-8 }), 'E_RANGE', none('epsilon'));
    await expectError(() => plain.readRows(0, 1, 'secondMoment'), 'E_RANGE', /buffer: expected weights or momentum/);
    await expectError(() => plain.writeRowsAt('secondMoment', [0], new Float32Array(6)), 'E_RANGE', /buffer/);
    await expectError(
      () => plain.setUpdates(1),
      'E_RANGE',
      /updates: expected class centres made with optimizer adamw/,
    );
    plain.update(step, sgd);
    expect(plain.updates).toBe(0);
  });

  it('a second moment below zero, and writes none of it', async () => {
    using centers = moved();
    const before = state(centers);
    const rows = new Float32Array(12).fill(1);
    rows[11] = -1e-20;
    const message = /^E_RANGE: values: expected a second moment of at least 0, received -1e-20; /;
    await expectError(() => centers.writeRows(0, rows, 'secondMoment'), 'E_RANGE', message);
    await expectError(() => centers.writeRowsAt('secondMoment', [4, 5], rows), 'E_RANGE', message);
    expect(state(centers)).toEqual(before);
    centers.writeRows(0, rows, 'momentum');
  });

  it('a number of updates that is none', async () => {
    using centers = moved(1);
    for (const count of [-1, 0.5, Number.NaN, 2 ** 53, '1', undefined]) {
      await expectError(() => centers.setUpdates(count as never), 'E_RANGE', /^E_RANGE: updates: expected a whole/);
    }
    expect(centers.updates).toBe(1);
  });
});
