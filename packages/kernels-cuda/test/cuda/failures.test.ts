/** Trouble on the CUDA path: what is found before anything changes, and an engine that goes on or says why it cannot. */
import { expect, it } from 'vitest';

import { ClassCenters, openDevice, type HyperArcError, type Precision } from '../../dist/index.js';
import { bits, expectError, makeBatch, sgd } from '../binding/support.js';
import { describeCuda } from './support.js';

const shape = { classes: 17, dim: 12, batch: 5 };

describeCuda('trouble on a CUDA device', () => {
  it('a device that is not there', async () => {
    await expectError(() => openDevice('cuda:63'), 'E_DEVICE', /expected a CUDA device in \[0, \d+\), received 63/);
  });

  it.each<Precision>(['fp32', 'bf16', 'bf16-master'])('input that is wrong changes nothing: %s', async (precision) => {
    using device = openDevice('cuda:0');
    using centers = device.createCenters({ ...shape, precision });
    const before = bits(centers.readRows(0, shape.classes));
    const good = makeBatch(shape);
    for (const label of [-1, shape.classes, 2 ** 31 - 1]) {
      const labels = good.labels.slice().fill(label, 3, 4);
      const name = new RegExp(`labels.*\\[3\\].*received ${label}`);
      await expectError(() => centers.forward({ ...good, labels }), 'E_RANGE', name);
      await expectError(() => centers.forwardAsync({ ...good, labels }), 'E_RANGE', name);
    }
    for (const value of [NaN, Infinity, -Infinity]) {
      const embeddings = good.embeddings.slice().fill(value, 2 * shape.dim + 7, 2 * shape.dim + 8);
      await expectError(() => centers.forward({ ...good, embeddings }), 'E_NONFINITE', /row 2, element 7/);
    }
    await expectError(() => centers.forward({ ...good, sampled: Int32Array.of(0) }), 'E_RANGE', /sampled/);
    const rows = new Float32Array(shape.dim).fill(NaN);
    await expectError(() => centers.writeRows(0, rows), 'E_NONFINITE');
    expect(bits(centers.readRows(0, shape.classes))).toEqual(before);

    const { step, loss } = centers.forward(good);
    expect(loss).toBeGreaterThan(0);
    centers.update(step, sgd);
    await expectError(() => centers.update(step, sgd), 'E_STALE');
    expect(bits(centers.readRows(0, shape.classes))).not.toEqual(before);
  });

  it('centres that do not fit: the plan, and an engine that goes on', async () => {
    using device = openDevice('cuda:0');
    const huge = { classes: 2 ** 31 - 1, dim: 4096 };
    const plan = device.plan({ ...huge, batch: 1 });
    expect(plan.fits).toBe(false);
    expect(plan.persistentBytes).toBeGreaterThan(2 ** 46);
    await expectError(() => device.createCenters(huge), 'E_MEMORY', /classes: expected .*received a plan of/);
    try {
      ClassCenters.create({ ...huge, device });
    } catch (error) {
      expect((error as HyperArcError).plan).toMatchObject({ fits: false, persistentBytes: plan.persistentBytes });
    }
    using centers = device.createCenters(shape);
    expect(centers.forward(makeBatch(shape)).loss).toBeGreaterThan(0);
  });
});
