/** What a user may get wrong, with the error that says so. Nothing changes and nothing is half done. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ClassCenters, HyperArcError, openDevice, type BatchOptions, type Device } from '../../dist/index.js';
import { bits, expectError, isCpu, makeBatch, margin, sgd, testDevice } from './support.js';

const shape = { classes: 11, dim: 4, batch: 3 };
let device: Device;
let centers: ClassCenters;
let before: Buffer;

beforeAll(() => {
  device = openDevice(testDevice, { threads: 1 });
  centers = device.createCenters(shape);
  before = bits(centers.readRows(0, shape.classes));
});
afterAll(() => {
  expect(bits(centers.readRows(0, shape.classes))).toEqual(before);
  expect(centers.state).toBe('live');
  device.dispose();
});

/** Both forms of forward answer in the same way. */
async function expectForwardError(change: object, code: string, message: RegExp): Promise<void> {
  const options = { ...makeBatch(shape), ...change } as BatchOptions;
  await expectError(() => centers.forward(options), code, message);
  await expectError(() => centers.forwardAsync(options), code, message);
  await expectError(() => centers.targetTerms(options), code, message);
}

function withEmbedding(value: number, at = 5): Float32Array {
  const { embeddings } = makeBatch(shape);
  embeddings[at] = value;
  return embeddings;
}

describe('forward', () => {
  it.each([-1, 11, 2 ** 31 - 1, -(2 ** 31)])('a label of %i is outside [0, C)', (label) =>
    expectForwardError(
      { labels: Int32Array.of(0, label, 1) },
      'E_RANGE',
      /^E_RANGE: labels\[1\]: expected .*\[0, 11\).*received/,
    ),
  );

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'an embedding with %d is not finite',
    (value) =>
      expectForwardError(
        { embeddings: withEmbedding(value) },
        'E_NONFINITE',
        /^E_NONFINITE: embeddings\b.*expected .*received/,
      ),
  );

  it('buffers of the wrong length', async () => {
    await expectForwardError(
      { embeddings: new Float32Array(11) },
      'E_SHAPE',
      /^E_SHAPE: embeddings: expected length 12 \(labels.length 3 × dim 4\), received length 11/,
    );
    await expectForwardError({ labels: new Int32Array(4) }, 'E_SHAPE', /^E_SHAPE: embeddings: expected length 16 /);
    await expectForwardError(
      { labels: new Int32Array(0), embeddings: new Float32Array(0) },
      'E_SHAPE',
      /^E_SHAPE: labels/,
    );
    await expectForwardError(
      { rowParameters: new Float32Array(3) },
      'E_SHAPE',
      /^E_SHAPE: rowParameters: expected length 12/,
    );
    await expectForwardError({ sampled: new Int32Array(0) }, 'E_SHAPE', /^E_SHAPE: sampled/);
  });

  it('buffers of the wrong type', async () => {
    await expectForwardError(
      { embeddings: new Float64Array(12) },
      'E_DTYPE',
      /^E_DTYPE: embeddings: expected a Float32Array, received a Float64Array of length 12/,
    );
    await expectForwardError({ embeddings: undefined }, 'E_DTYPE', /^E_DTYPE: embeddings: .*undefined/);
    await expectForwardError(
      { labels: [0, 1, 2] },
      'E_DTYPE',
      /^E_DTYPE: labels: expected an Int32Array, received an array of length 3; /,
    );
    await expectForwardError({ labels: new Uint32Array(3) }, 'E_DTYPE', /^E_DTYPE: labels/);
    await expectForwardError({ sampled: [1] }, 'E_DTYPE', /^E_DTYPE: sampled/);
    await expectForwardError({ rowParameters: null }, 'E_DTYPE', /^E_DTYPE: rowParameters/);
  });

  it.each([
    ['scale', 0],
    ['scale', 1025],
    ['scale', Number.NaN],
    ['m1', 0.4],
    ['m1', 4.1],
    ['m2', 1.6],
    ['m2', -1.6],
    ['m3', 1.1],
    ['m3', '0'],
    ['fallback', 'soft'],
    ['gradient', undefined],
    ['family', 'cubic'],
    ['family', null],
    ['blend', -0.1],
    ['blend', 1.1],
    ['clipRadians', 0],
    ['clipRadians', 0.11],
    ['clipRadians', '1e-4'],
    ['negatives', null],
    ['negatives', 'target'],
  ])('a margin with %s = %s', (name, value) =>
    expectForwardError(
      { margin: { ...margin, [name]: value } },
      'E_RANGE',
      new RegExp(`^E_RANGE: margin\\.${name}: expected .*received`),
    ),
  );

  it.each([
    ['sphere', { m1: 0.9, m2: 0 }, /m1: expected a number in \[1, 4\] with family 'sphere', received 0.9/],
    ['sphere', { m1: 2 }, /m2: expected 0 with family 'sphere', received 0.5/],
    ['sphere', { m1: 2, m2: 0, fallback: 'hard' }, /fallback: expected 'none' with family 'sphere', received 'hard'/],
    ['quadratic', { m1: 0 }, /m1: expected a number in \[0.01, 4\] with family 'quadratic', received 0/],
    ['quadratic', { fallback: 'clip' }, /fallback: expected 'none' with family 'quadratic', received 'clip'/],
    ['circle', { m2: -0.1 }, /m2: expected a number in \[0, 1.57\d+\] with family 'circle', received -0.1/],
  ])('a margin of the family %s with %o', (family, change, message) =>
    expectForwardError(
      { margin: { ...margin, fallback: 'none', family, ...change } },
      'E_RANGE',
      new RegExp(`^E_RANGE: margin\\.${message.source}`),
    ),
  );

  const branch = { value: [0, 1, 0], slope: [1, 0] };
  const negatives = { threshold: 0.4, above: branch, below: branch };
  it.each([
    [{ threshold: 1.1 }, /threshold: expected 'target' or a number in \[-1, 1\], received 1.1/],
    [{ threshold: Number.NaN }, /threshold: .*NaN/],
    [{ threshold: 'fixed' }, /threshold: .*'fixed'/],
    [{ above: undefined }, /above: expected an object, received undefined/],
    [{ below: { value: [0, 1, 0] } }, /below.slope: expected an array of 2 numbers, received undefined/],
    [{ below: { ...branch, value: [0, 1] } }, /below.value: expected an array of 3 numbers, received .* length 2/],
    [{ above: { ...branch, value: new Float32Array(3) } }, /above.value: expected .*Float32Array/],
    [{ above: { ...branch, value: [0, '1', 0] } }, /above.value\[1\]: expected a number .*'1'/],
    [
      { above: { ...branch, value: [0, 16.1, 0] } },
      /above.value\[1\]: expected a number in \[-16, 16\], received 16.1/,
    ],
    [{ above: { ...branch, slope: [0, Number.NaN] } }, /above.slope\[1\]: .*NaN/],
    // eslint-disable-next-line no-sparse-arrays
    [{ below: { ...branch, slope: [, 1] } }, /below.slope\[0\]: .*undefined/],
  ])('negatives with %o', (change, message) =>
    expectForwardError(
      { margin: { ...margin, negatives: { ...negatives, ...change } } },
      'E_RANGE',
      new RegExp(`^E_RANGE: margin\\.negatives\\.${message.source}`),
    ),
  );

  it('no margin', () => expectForwardError({ margin: undefined }, 'E_RANGE', /^E_RANGE: margin: expected an object/));

  it('row parameters outside their ranges', () =>
    expectForwardError(
      { rowParameters: Float32Array.of(64, 1, 0.5, 0, 64, 9, 0.5, 0, 64, 1, 0.5, 0) },
      'E_RANGE',
      /^E_RANGE: rowParameters/,
    ));

  it('sampled classes that are unsorted, repeated, outside, or lack a label', async () => {
    const labels = Int32Array.of(1, 2, 3);
    for (const sampled of [
      [1, 3, 2],
      [1, 2, 2, 3],
      [1, 2, 3, 11],
      [-1, 1, 2, 3],
      [1, 2],
    ]) {
      await expectForwardError({ labels, sampled: Int32Array.from(sampled) }, 'E_RANGE', /^E_RANGE: (sampled|labels)/);
    }
  });

  it('no options', async () => {
    await expectError(() => centers.forward(undefined as never), 'E_RANGE', /options/);
    await expectError(() => centers.forwardAsync(null as never), 'E_RANGE', /options/);
  });
});

describe('create', () => {
  it.each([
    ['classes', 0],
    ['classes', -1],
    ['classes', 2 ** 31],
    ['classes', 1.5],
    ['classes', undefined],
    ['dim', 0],
    ['dim', 4097],
    ['dim', '4'],
    ['subCenters', 0],
    ['subCenters', 17],
    ['precision', 'fp8'],
    ['firstClass', -1],
    ['globalClasses', 10],
    ['seed', -1],
    ['seed', 1.5],
    ['seed', 1n << 64n],
    ['stddev', 0],
    ['stddev', Number.NaN],
    ['momentum', 1],
  ])('%s = %s', async (name, value) => {
    const options = { ...shape, [name]: value } as never;
    await expectError(
      () => device.createCenters(options),
      'E_RANGE',
      new RegExp(name === 'globalClasses' ? 'lasses' : name),
    );
  });

  it.runIf(isCpu).each(['bf16', 'bf16-master'] as const)('%s, which this device does not have', (precision) =>
    expectError(() => device.createCenters({ ...shape, precision }), 'E_DTYPE', /precision/),
  );

  it('kernels of a GPU on the CPU, and beside a device that is open', async () => {
    for (const kernels of ['plain', 'mma', 'wgmma'] as const) {
      await expectError(() => openDevice('cpu', { kernels }), 'E_RANGE', /kernels: expected 'auto' on the CPU/);
      await expectError(() => ClassCenters.create({ ...shape, device, kernels }), 'E_RANGE', /kernels/);
    }
    await expectError(() => openDevice('cpu', { kernels: 'fast' as never }), 'E_RANGE', /kernels: expected one of/);
  });

  it('a device that is not one', async () => {
    await expectError(() => ClassCenters.create({ ...shape, device: {} as never }), 'E_RANGE', /device/);
    await expectError(() => ClassCenters.create({ ...shape, device: 'cpu:0' as never }), 'E_RANGE', /device/);
  });
});

describe('the rest', () => {
  it('update with options outside their ranges', async () => {
    const { step } = centers.forward(makeBatch(shape));
    for (const change of [
      { learningRate: -1 },
      { learningRate: Number.NaN },
      { learningRate: undefined },
      { momentum: 1 },
      { momentum: -0.1 },
      { weightDecay: -1 },
      { unsampled: 'gone' },
      { roundingStep: -1 },
      { roundingStep: 1n << 64n },
    ]) {
      const options = { ...sgd, ...change } as never;
      const name = new RegExp(`^E_RANGE: ${Object.keys(change)[0]}: expected .*received`);
      await expectError(() => centers.update(step, options), 'E_RANGE', name);
      await expectError(() => centers.updateAsync(step, options), 'E_RANGE', name);
    }
    using plain = device.createCenters({ ...shape, momentum: false });
    const plainStep = plain.forward(makeBatch(shape)).step;
    await expectError(() => plain.update(plainStep, sgd), 'E_RANGE', /momentum: expected 0/);
    plain.update(plainStep, { learningRate: 0.1 });
  });

  it('rows outside the buffer, of the wrong length, or not finite', async () => {
    await expectError(() => centers.readRows(10, 2), 'E_RANGE', /firstRow/);
    await expectError(() => centers.readRows(0, 0), 'E_RANGE', /rowCount/);
    await expectError(() => centers.readRows(-1, 1), 'E_RANGE', /firstRow/);
    await expectError(() => centers.readRows(0, 1, 'velocity' as never), 'E_RANGE', /buffer/);
    await expectError(() => centers.writeRows(0, new Float32Array(5)), 'E_SHAPE', /values/);
    await expectError(() => centers.writeRows(11, new Float32Array(4)), 'E_RANGE', /firstRow/);
    await expectError(() => centers.writeRows(0, [1, 2, 3, 4] as never), 'E_DTYPE', /values/);
    await expectError(() => centers.writeRows(0, Float32Array.of(1, Number.NaN, 0, 0)), 'E_NONFINITE', /values/);
    using plain = device.createCenters({ ...shape, momentum: false });
    await expectError(() => plain.readRows(0, 1, 'momentum'), 'E_RANGE', /momentum/);
  });

  it('rows by number that are outside, no numbers, none, or of another length than their values', async () => {
    const row = new Float32Array(4);
    for (const [rows, message] of [
      [[11], /^E_RANGE: rows\[0\]: expected a whole number in \[0, 11\), received 11/],
      [[0, -1], /^E_RANGE: rows\[1\]: .*received -1/],
      [[0.5], /^E_RANGE: rows\[0\]: .*received 0.5/],
      [Float64Array.of(Number.NaN), /^E_RANGE: rows\[0\]: .*received (-)?nan/],
      [[2 ** 53], /^E_RANGE: rows\[0\]/],
    ] as const) {
      await expectError(() => centers.readRowsAt('weights', rows), 'E_RANGE', message);
      const values = new Float32Array(4 * rows.length);
      await expectError(() => centers.writeRowsAt('weights', rows, values), 'E_RANGE', message);
    }
    for (const rows of [new Int32Array(1), ['0'], 0, undefined, [1n], new Float32Array(1)]) {
      const message = /^E_DTYPE: rows: expected a Float64Array or an array of numbers, received /;
      await expectError(() => centers.readRowsAt('weights', rows as never), 'E_DTYPE', message);
      await expectError(() => centers.writeRowsAt('weights', rows as never, row), 'E_DTYPE', message);
    }
    await expectError(() => centers.readRowsAt('weights', []), 'E_SHAPE', /^E_SHAPE: rows: expected at least one row/);
    await expectError(() => centers.writeRowsAt('weights', [], new Float32Array(0)), 'E_SHAPE', /rows/);
    const length = /^E_SHAPE: values: expected length 8 \(rows.length 2 × dim 4\), received length 4/;
    await expectError(() => centers.writeRowsAt('weights', [1, 2], row), 'E_SHAPE', length);
    await expectError(() => centers.writeRowsAt('weights', [1], [1, 2, 3, 4] as never), 'E_DTYPE', /values/);
    const twice = /^E_RANGE: rows: expected each row once, received 3 twice/;
    await expectError(() => centers.writeRowsAt('weights', [3, 1, 3], new Float32Array(12)), 'E_RANGE', twice);
    // The first row is fine and must not be written.
    const damaged = Float32Array.of(1, 2, 3, 4, 5, 6, 7, Number.NaN);
    await expectError(() => centers.writeRowsAt('weights', [0, 1], damaged), 'E_NONFINITE', /values/);
    await expectError(() => centers.readRowsAt('velocity' as never, [0]), 'E_RANGE', /buffer/);
    using plain = device.createCenters({ ...shape, momentum: false });
    await expectError(() => plain.readRowsAt('momentum', [0]), 'E_RANGE', /momentum/);
    await expectError(() => plain.writeRowsAt('momentum', [0], row), 'E_RANGE', /momentum/);
  });

  it('target cosines of labels outside [0, C), of a wrong length, type or value', async () => {
    const { embeddings, labels } = makeBatch(shape);
    for (const [change, code, message] of [
      [{ labels: Int32Array.of(0, 11, 1) }, 'E_RANGE', /^E_RANGE: labels\[1\]: expected .*\[0, 11\)/],
      [{ labels: new Int32Array(2) }, 'E_SHAPE', /^E_SHAPE: embeddings: expected length 8/],
      [{ labels: new Int32Array(0) }, 'E_SHAPE', /^E_SHAPE: labels: expected at least one/],
      [{ labels: [0, 1, 2] }, 'E_DTYPE', /^E_DTYPE: labels/],
      [{ embeddings: undefined }, 'E_DTYPE', /^E_DTYPE: embeddings/],
      [{ embeddings: withEmbedding(Number.NaN) }, 'E_NONFINITE', /^E_NONFINITE: embeddings/],
    ] as const) {
      const options = { embeddings, labels, ...(change as object) } as never;
      await expectError(() => centers.targetCosines(options), code, message);
      await expectError(() => centers.targetCosinesAsync(options), code, message);
    }
    await expectError(() => centers.targetCosines(undefined as never), 'E_RANGE', /options/);
  });

  it('resize to nothing, or beyond any memory', async () => {
    await expectError(() => centers.resize(0), 'E_RANGE', /classes/);
    using wide = device.createCenters({ classes: 1, dim: 4096 });
    await expectError(() => wide.resize(2 ** 31 - 1), 'E_MEMORY');
    expect(wide.shape).toEqual([1, 1, 4096]);
    wide.readRows(0, 1);
  });

  it('sample with a rate outside (0, 1] or labels outside [0, C)', async () => {
    for (const rate of [0, -0.1, 1.01, Number.NaN, undefined]) {
      const options = { labels: Int32Array.of(1), rate } as never;
      await expectError(
        () => centers.sample(options),
        'E_RANGE',
        /^E_RANGE: rate: expected a number in \(0, 1\], received /,
      );
      await expectError(() => centers.sampleAsync(options), 'E_RANGE', /rate/);
    }
    await expectError(() => centers.sample({ labels: Int32Array.of(11), rate: 0.5 }), 'E_RANGE', /labels/);
    await expectError(() => device.plan({ ...shape, rate: 2 }), 'E_RANGE', /rate/);
  });

  it('logits of a wrong length or with NaN', async () => {
    await expectError(() => centers.logits(new Float32Array(5)), 'E_SHAPE', /embeddings/);
    await expectError(() => centers.logits(new Float32Array(0)), 'E_SHAPE', /embeddings/);
    await expectError(() => centers.logitsAsync(Float32Array.of(1, 2, 3, Number.NaN)), 'E_NONFINITE', /embeddings/);
    await expectError(() => centers.logits(new Float32Array(4), { scale: -1 }), 'E_RANGE', /scale/);
  });

  it('stages out of order, seams before their time, seams of the wrong length', async () => {
    const step = centers.targetTerms(makeBatch(shape));
    await expectError(() => centers.finishForward(step), 'E_RANGE', /negativeSums/);
    await expectError(() => centers.update(step, sgd), 'E_RANGE', /forward/);
    await expectError(() => centers.getSeam(step, 'sumExp'), 'E_RANGE', /seam/);
    await expectError(() => centers.getSeam(step, 'loss' as never), 'E_RANGE', /seam/);
    await expectError(() => centers.getSeam(step, 'rowGradient'), 'E_RANGE', /seam/);
    await expectError(() => centers.setSeam(step, 'targetLogits', new Float32Array(2)), 'E_SHAPE', /values/);
    // There is no threshold without a rule that asks for the target's.
    expect(centers.getSeam(step, 'targetThreshold')).toHaveLength(0);
    await expectError(() => centers.setSeam(step, 'targetThreshold', new Float32Array(3)), 'E_SHAPE', /values/);
    centers.negativeSums(step);
    await expectError(() => centers.negativeSums(step), 'E_RANGE', /targetTerms/);
    centers.finishForward(step);
    await expectError(() => centers.setSeam(step, 'rowGradient', new Float32Array(3)), 'E_SHAPE', /values: .* 12 /);
  });

  it('row parameters outside the ranges of their family', async () => {
    const sphere = { ...margin, family: 'sphere', m1: 2, m2: 0, fallback: 'none' };
    const rows = Float32Array.of(64, 2, 0, 0, 64, 0.9, 0, 0, 64, 2, 0, 0);
    await expectForwardError({ margin: sphere, rowParameters: rows }, 'E_RANGE', /^E_RANGE: rowParameters\[1\].*m1/);
  });

  it('errors are Errors with a code and the native error as their cause', () => {
    try {
      centers.readRows(10, 2);
      expect.fail('did not throw');
    } catch (error) {
      expect(error).toBeInstanceOf(HyperArcError);
      expect((error as Error).name).toBe('HyperArcError');
      expect((error as Error).cause).toBeInstanceOf(Error);
    }
  });
});
