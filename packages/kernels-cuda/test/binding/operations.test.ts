import { afterAll, describe, expect, it } from 'vitest';

import {
  ClassCenters,
  addonStatus,
  listDevices,
  loadAddon,
  openDevice,
  type MarginRule,
  type Seam,
} from '../../dist/index.js';
import { bits, expectError, isCpu, makeBatch, margin, sgd, testDevice } from './support.js';

const shape = { classes: 37, dim: 20, batch: 6 };
const device = openDevice(testDevice, { threads: 2 });
afterAll(() => device.dispose());

function makeCenters(seed = 1): ClassCenters {
  return device.createCenters({ ...shape, seed });
}

describe('devices', () => {
  it('lists the CPU first and opens it', () => {
    expect(listDevices()[0]).toMatchObject({ kind: 'cpu', index: 0 });
    expect(device.info).toMatchObject(isCpu ? { kind: 'cpu', threads: 2 } : { kind: 'cuda', threads: 0 });
    expect(addonStatus()).toMatchObject({ loaded: true });
  });

  it('opens every instruction set of this processor by name', () => {
    for (const instructionSet of ['portable', 'avx2', 'avx512'] as const) {
      if (!loadAddon().isaSupported(instructionSet)) continue;
      using forced = openDevice('cpu', { instructionSet });
      expect(forced.info.instructionSet).toBe(instructionSet);
    }
  });

  it('takes the CPU for auto where no CUDA device is usable, and says why cuda:0 is not', async () => {
    if (listDevices().some(({ kind }) => kind === 'cuda')) return;
    using automatic = openDevice('auto');
    expect(automatic.info.kind).toBe('cpu');
    const why = loadAddon().whyNoCuda();
    expect(why).not.toBe('');
    await expectError(() => openDevice('cuda:0'), 'E_DEVICE', new RegExp(why.replaceAll(/\W/g, '.')));
    const asked = () => openDevice('auto', { kernels: 'mma' });
    await expectError(asked, 'E_RANGE', /kernels: expected 'auto' .*'auto' is the CPU here: /);
  });

  it('refuses specs and options that do not exist', async () => {
    await expectError(() => openDevice('gpu' as never), 'E_RANGE');
    await expectError(() => openDevice('cuda:-1' as never), 'E_RANGE');
    await expectError(() => openDevice(0 as never), 'E_RANGE');
    await expectError(() => openDevice('cpu', { threads: -1 }), 'E_RANGE', /^E_RANGE: threads: /);
    await expectError(() => openDevice('cpu', { instructionSet: 'sse2' as never }), 'E_RANGE', /instructionSet/);
  });

  it('plans bytes that add up and grow with the problem', () => {
    const small = device.plan({ classes: 1000, dim: 64, batch: 32 });
    const large = device.plan({ classes: 2000, dim: 64, batch: 32 });
    const persistent = small.parts.filter((part) => part.persistent).reduce((sum, part) => sum + part.bytes, 0);
    expect(persistent).toBe(small.persistentBytes);
    expect(small.persistentBytes).toBeGreaterThanOrEqual(2 * 4 * 1000 * 64);
    expect(large.persistentBytes).toBeGreaterThan(small.persistentBytes);
    expect(small.peakBytes).toBeGreaterThanOrEqual(small.persistentBytes);
    expect(device.plan({ classes: 1000, dim: 64, batch: 32, momentum: false }).persistentBytes).toBeLessThan(
      small.persistentBytes,
    );
  });

  it('says the plan when memory cannot be had', async () => {
    const options = { classes: 2 ** 31 - 1, dim: 4096, device };
    await expectError(() => ClassCenters.create(options), 'E_MEMORY', /weights/);
    try {
      ClassCenters.create(options);
    } catch (error) {
      expect((error as { plan: { fits: boolean } }).plan.fits).toBe(false);
    }
  });
});

describe('class centres', () => {
  it('are what they were created as', () => {
    using centers = device.createCenters({ classes: 5, dim: 3, subCenters: 2, seed: 9n, momentum: false, stddev: 0.5 });
    expect(centers.shape).toEqual([5, 2, 3]);
    expect(centers.config).toEqual({
      classes: 5,
      dim: 3,
      subCenters: 2,
      precision: 'fp32',
      optimizer: 'sgd',
      momentum: false,
      firstClass: 0,
      globalClasses: 5,
      seed: 9n,
      stddev: 0.5,
    });
    expect(centers.device).toBe(device);
    expect(centers.bytes).toBeGreaterThanOrEqual(5 * 2 * 3 * 4);
    expect(centers.kernels(64)).toBe(isCpu ? `cpu-${device.info.instructionSet}` : 'plain-fp32');
    expect(centers.lastTimes()).toBeUndefined();
  });

  it('own the device that they opened, and only that', async () => {
    const centers = ClassCenters.create({ ...shape, device: testDevice });
    centers.dispose();
    expect(centers.device.disposed).toBe(true);
    makeCenters().dispose();
    expect(device.disposed).toBe(false);
  });

  it('have the same values for the same seed, as number and as bigint, in every shard layout', () => {
    using whole = device.createCenters({ classes: 10, dim: 7, seed: 5 });
    using again = device.createCenters({ classes: 10, dim: 7, seed: 5n });
    using other = device.createCenters({ classes: 10, dim: 7, seed: 6 });
    using shard = device.createCenters({ classes: 4, dim: 7, seed: 5, firstClass: 6, globalClasses: 10 });
    expect(bits(again.readRows(0, 10))).toEqual(bits(whole.readRows(0, 10)));
    expect(bits(other.readRows(0, 10))).not.toEqual(bits(whole.readRows(0, 10)));
    expect(bits(shard.readRows(0, 4))).toEqual(bits(whole.readRows(6, 4)));
  });

  it('read and write rows of both buffers', () => {
    using centers = makeCenters();
    const rows = Float32Array.from({ length: 2 * shape.dim }, (_, i) => i);
    centers.writeRows(3, rows);
    centers.writeRows(35, rows, 'momentum');
    expect(centers.readRows(3, 2)).toEqual(rows);
    expect(centers.readRows(35, 2, 'momentum')).toEqual(rows);
    expect(centers.readRows(0, 35, 'momentum').every((value) => value === 0)).toBe(true);
  });

  it('read and write rows by number, in the order of the numbers, and no others', () => {
    using centers = device.createCenters({ classes: 9, dim: 5, subCenters: 2, seed: 3 });
    const before = centers.readRows(0, 18);
    const values = Float32Array.from({ length: 15 }, (_, i) => i + 1);
    const version = centers.weightsVersion;
    centers.writeRowsAt('weights', [17, 0, 4], values);
    expect(centers.weightsVersion).toBeGreaterThan(version);
    const expected = before.slice();
    expected.set(values.subarray(0, 5), 17 * 5);
    expected.set(values.subarray(5, 10), 0);
    expected.set(values.subarray(10), 4 * 5);
    expect(centers.readRows(0, 18)).toEqual(expected);
    expect(centers.readRowsAt('weights', Float64Array.of(4, 17, 4))).toEqual(
      Float32Array.of(...values.subarray(10), ...values.subarray(0, 5), ...values.subarray(10)),
    );
    centers.writeRowsAt('momentum', [3], values.subarray(0, 5));
    expect(centers.readRows(3, 1, 'momentum')).toEqual(values.slice(0, 5));
    expect(centers.readRowsAt('momentum', [2])).toEqual(new Float32Array(5));
  });

  it('computed before a write of rows by number is stale', async () => {
    using centers = makeCenters();
    const { step } = centers.forward(makeBatch(shape));
    centers.writeRowsAt('weights', [1], new Float32Array(shape.dim).fill(1));
    await expectError(() => centers.update(step, sgd), 'E_STALE');
  });

  it('keep old classes on resize and give new ones the values that creation would have given', () => {
    using small = device.createCenters({ classes: 4, dim: 7, seed: 5 });
    using large = device.createCenters({ classes: 9, dim: 7, seed: 5 });
    small.writeRows(1, new Float32Array(7).fill(2));
    small.resize(9);
    expect(small.shape).toEqual([9, 1, 7]);
    expect(small.readRows(1, 1)).toEqual(new Float32Array(7).fill(2));
    expect(bits(small.readRows(2, 7))).toEqual(bits(large.readRows(2, 7)));
    small.resize(2);
    expect(small.readRows(1, 1)).toEqual(new Float32Array(7).fill(2));
  });

  it('grow their version with every change of the weights, and with nothing else', () => {
    using centers = makeCenters();
    const seen = [centers.weightsVersion];
    const { step } = centers.forward(makeBatch(shape));
    expect(centers.weightsVersion).toBe(seen[0]);
    centers.update(step, sgd);
    seen.push(centers.weightsVersion);
    centers.writeRows(0, new Float32Array(shape.dim));
    seen.push(centers.weightsVersion);
    centers.seed(3);
    seen.push(centers.weightsVersion);
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
  });
});

describe('passes', () => {
  it('lower the loss, and forward alone never moves weights', () => {
    using centers = makeCenters();
    const before = bits(centers.readRows(0, shape.classes));
    const first = centers.forward(makeBatch(shape));
    expect(bits(centers.readRows(0, shape.classes))).toEqual(before);
    expect(first.loss).toBeCloseTo(first.lossPerSample.reduce((sum, value) => sum + value, 0) / shape.batch, 5);
    for (let i = 0; i < 20; i += 1)
      centers.update(centers.forward({ ...makeBatch(shape), step: first.step }).step, sgd);
    expect(centers.forward(makeBatch(shape)).loss).toBeLessThan(first.loss);
  });

  it('give the same bits synchronously and asynchronously', async () => {
    using a = makeCenters();
    using b = makeCenters();
    for (let i = 0; i < 4; i += 1) {
      const batch = makeBatch(shape, i);
      const [now, later] = [a.forward(batch), await b.forwardAsync(batch)];
      expect(later.loss).toBe(now.loss);
      expect(bits(later.embeddingGradient)).toEqual(bits(now.embeddingGradient));
      expect(bits(later.targetCosine)).toEqual(bits(now.targetCosine));
      expect(bits(later.rowGradient)).toEqual(bits(now.rowGradient));
      expect(bits(await b.targetCosinesAsync(batch))).toEqual(bits(now.targetCosine));
      expect(bits(await b.gradientsAsync(later.step))).toEqual(bits(a.gradients(now.step)));
      a.update(now.step, sgd);
      await b.updateAsync(later.step, sgd);
    }
    expect(bits(b.readRows(0, shape.classes))).toEqual(bits(a.readRows(0, shape.classes)));
    expect(bits(b.readRows(0, shape.classes, 'momentum'))).toEqual(bits(a.readRows(0, shape.classes, 'momentum')));
    const { embeddings, labels } = makeBatch(shape);
    expect(bits(await b.logitsAsync(embeddings, { scale: 3 }))).toEqual(bits(a.logits(embeddings, { scale: 3 })));
    const sample = { labels, rate: 0.5, seed: 4, step: 7n };
    expect(await b.sampleAsync(sample)).toEqual(a.sample(sample));
  });

  it('run queued operations in the order of the calls, and copy their inputs', async () => {
    using a = makeCenters();
    using b = makeCenters();
    const promises: Promise<unknown>[] = [];
    const settled: number[] = [];
    for (let i = 0; i < 10; i += 1) {
      const batch = makeBatch(shape, i);
      a.update(a.forward(batch).step, sgd);
      const step = b.createStep();
      promises.push(b.forwardAsync({ ...batch, step }));
      promises.push(b.updateAsync(step, sgd).then(() => settled.push(i)));
      batch.embeddings.fill(Number.NaN);
      batch.labels.fill(-1);
    }
    await Promise.all(promises);
    expect(settled).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(bits(b.readRows(0, shape.classes))).toEqual(bits(a.readRows(0, shape.classes)));
  });

  it('update of several micro-batches is the update of one large batch', () => {
    using a = makeCenters();
    using b = makeCenters();
    const whole = makeBatch(shape);
    const half = (from: number) => ({
      embeddings: whole.embeddings.subarray(from * shape.dim, (from + 3) * shape.dim),
      labels: whole.labels.subarray(from, from + 3),
      margin,
    });
    a.update(a.forward(whole).step, sgd);
    b.update([b.forward(half(0)).step, b.forward(half(3)).step], sgd);
    const [rowsA, rowsB] = [a.readRows(0, shape.classes), b.readRows(0, shape.classes)];
    rowsA.forEach((value, i) => expect(rowsB[i]).toBeCloseTo(value, 5));
  });

  it('a step can be used again by centres of another shape', () => {
    using a = makeCenters();
    using b = device.createCenters({ classes: 11, dim: 33 });
    const { step } = a.forward(makeBatch(shape));
    const again = b.forward({ ...makeBatch({ batch: 9, dim: 33, classes: 11 }), step });
    expect(again.step).toBe(step);
    expect(step.batch).toBe(9);
    b.update(step, sgd);
  });

  it('target cosines are those of forward, whatever the margin, and leave weights and steps alone', () => {
    using centers = device.createCenters({ ...shape, subCenters: 3, seed: 8 });
    const batch = makeBatch(shape, 5);
    const forward = centers.forward(batch);
    const version = centers.weightsVersion;
    const cosines = centers.targetCosines(batch);
    expect(bits(cosines)).toEqual(bits(forward.targetCosine));
    expect(centers.weightsVersion).toBe(version);
    const all = centers.logits(batch.embeddings);
    cosines.forEach((value, i) => expect(value).toBeCloseTo(all[i * shape.classes + batch.labels[i]!]!, 5));
    centers.update(forward.step, sgd);
    // A shard knows only its own.
    using shard = device.createCenters({ ...shape, subCenters: 3, seed: 8, firstClass: 37, globalClasses: 74 });
    expect(shard.targetCosines(batch)).toEqual(new Float32Array(shape.batch));
  });

  it('row gradient is what the loss does when a parameter of one sample moves', () => {
    using centers = makeCenters();
    const { embeddings, labels } = makeBatch(shape, 3);
    const rule: MarginRule = { ...margin, scale: 8, m1: 1.2, m2: 0.3, m3: 0.1, fallback: 'none' };
    const rows = Float32Array.from({ length: 4 * shape.batch }, (_, i) => [8, 1.2, 0.3, 0.1][i % 4]! + 0.01 * i);
    const given = { embeddings, labels, margin: rule, rowParameters: rows };
    const { rowGradient } = centers.forward(given);
    for (let i = 0; i < rows.length; i += 1) {
      const lossAt = (change: number) => {
        const moved = rows.slice();
        moved[i] = moved[i]! + change;
        const { lossPerSample } = centers.forward({ ...given, rowParameters: moved });
        const at = Math.floor(i / 4);
        return { moved: moved[i]!, loss: lossPerSample[at]! / shape.batch };
      };
      const [up, down] = [lossAt(0.01), lossAt(-0.01)];
      const numeric = (up.loss - down.loss) / (up.moved - down.moved);
      expect(Math.abs(rowGradient[i]! - numeric), `parameter ${i}`).toBeLessThan(2e-3 * Math.abs(numeric) + 2e-5);
      expect(Math.abs(numeric)).toBeGreaterThan(1e-4);
    }
    // Without row parameters it is the gradient at the rule's own numbers, whatever the mode of the target's gradient.
    const common = Float32Array.from({ length: rows.length }, (_, i) => [8, 1.2, 0.3, 0.1][i % 4]!);
    const byRule = centers.forward({ embeddings, labels, margin: rule }).rowGradient;
    expect(bits(byRule)).toEqual(bits(centers.forward({ ...given, rowParameters: common }).rowGradient));
  });

  it('row gradient has no first column with a negative rule', () => {
    using centers = makeCenters();
    const branch = { value: [0, 1, 0], slope: [1, 0] } as const;
    const rule: MarginRule = { ...margin, negatives: { threshold: 0.1, above: branch, below: branch } };
    const plain = centers.forward(makeBatch(shape));
    const { rowGradient, loss } = centers.forward({ ...makeBatch(shape), margin: rule });
    expect(loss).toBeCloseTo(plain.loss, 4);
    rowGradient.forEach((value, i) => {
      if (i % 4 === 0) expect(value).toBeNaN();
      else expect(value).toBeCloseTo(plain.rowGradient[i]!, 4);
    });
  });

  it('logits are cosines times the scale', () => {
    using centers = device.createCenters({ classes: 2, dim: 2 });
    centers.writeRows(0, Float32Array.of(3, 0, 0, 5));
    const logits = centers.logits(Float32Array.of(1, 1, -2, 0), { scale: 10 });
    [Math.SQRT1_2 * 10, Math.SQRT1_2 * 10, -10, 0].forEach((value, i) => expect(logits[i]).toBeCloseTo(value, 4));
  });

  const branch = { value: [0, 0.4, 0.6], slope: [0.4, 1.2] } as const;
  const hard = { value: [0.1, 0.9, 0.3], slope: [0.9, 0.6] } as const;
  it.each([
    ['ArcFace', margin],
    [
      'the target as threshold',
      { ...margin, scale: 16, negatives: { threshold: 'target', above: hard, below: branch } },
    ],
  ] as const)('the stages over two shards, their seams summed, are the forward of the whole: %s', (_, rule) => {
    const classes = 10;
    using whole = device.createCenters({ classes, dim: 7, seed: 5 });
    using low = device.createCenters({ classes: 4, dim: 7, seed: 5, globalClasses: classes });
    using high = device.createCenters({ classes: 6, dim: 7, seed: 5, firstClass: 4, globalClasses: classes });
    const batch = { ...makeBatch({ batch: 5, dim: 7, classes }), margin: rule };
    const expected = whole.forward(batch);
    const shards = [low, high].map((centers) => ({ centers, step: centers.targetTerms(batch) }));
    const sum = (seam: Seam) => {
      const [a, b] = shards.map(({ centers, step }) => centers.getSeam(step, seam));
      const total = a!.map((value, i) => value + b![i]!);
      for (const { centers, step } of shards) centers.setSeam(step, seam, total);
      return total;
    };
    sum('targetLogits');
    expect(sum('targetThreshold')).toHaveLength('negatives' in rule ? 5 : 0);
    for (const { centers, step } of shards) centers.negativeSums(step);
    sum('sumExp');
    const results = shards.map(({ centers, step }) => centers.finishForward(step));
    const gradient = sum('embeddingGradient');
    for (const result of results) expect(result.loss).toBeCloseTo(expected.loss, 4);
    gradient.forEach((value, i) => expect(value).toBeCloseTo(expected.embeddingGradient[i]!, 4));
    sum('rowGradient').forEach((value, i) => {
      if ('negatives' in rule && i % 4 === 0) expect(value).toBeNaN();
      else expect(value).toBeCloseTo(expected.rowGradient[i]!, 4);
    });
    const gradients = [low.gradients(shards[0]!.step), high.gradients(shards[1]!.step)];
    const expectedGradients = whole.gradients(expected.step);
    Float32Array.of(...gradients[0]!, ...gradients[1]!).forEach((value, i) =>
      expect(value).toBeCloseTo(expectedGradients[i]!, 2),
    );
  });
});
