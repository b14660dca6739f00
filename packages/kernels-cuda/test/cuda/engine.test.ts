/** What the CUDA engine does besides the contract: the CPU's samples and seeds, kernel names, device times, two engines, files. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { ClassCenters, openDevice, type Precision } from '../../dist/index.js';
import { roundBf16 } from '../../dist/reference/index.js';
import { bits, expectError, makeBatch, sgd } from '../binding/support.js';
import { cuda, describeCuda } from './support.js';

const shape = { classes: 61, dim: 24, batch: 9 };
const PRECISIONS: readonly Precision[] = ['fp32', 'bf16', 'bf16-master'];

describeCuda('the CUDA engine', () => {
  it('seeds the very values of the CPU engine, and rounds them where it stores bf16', () => {
    for (const options of [
      { classes: 37, dim: 33, subCenters: 3, seed: 2n ** 40n + 1n, stddev: 0.3 },
      { classes: 9, dim: 512, firstClass: 2 ** 30, globalClasses: 2 ** 30 + 9, subCenters: 4, seed: 7 },
    ]) {
      const rows = options.classes * options.subCenters;
      using cpu = ClassCenters.create({ ...options, device: 'cpu' });
      const expected = cpu.readRows(0, rows);
      for (const precision of PRECISIONS) {
        using centers = ClassCenters.create({ ...options, precision, device: 'cuda:0' });
        const wanted = precision === 'bf16-master' ? expected.map(roundBf16) : expected;
        expect(bits(centers.readRows(0, rows))).toEqual(bits(wanted));
      }
    }
  });

  it('grows by the values that a larger one would have had', () => {
    using device = openDevice('cuda:0');
    using grown = device.createCenters({ ...shape, seed: 3 });
    using large = device.createCenters({ ...shape, classes: 100, seed: 3 });
    grown.resize(100);
    expect(bits(grown.readRows(0, 100))).toEqual(bits(large.readRows(0, 100)));
  });

  it('draws the very classes of the CPU engine', () => {
    // Two 16-bit digits of the radix select, and several of its tiles.
    for (const classes of [1, 300, 70_001]) {
      using cpu = ClassCenters.create({ classes, dim: 1, device: 'cpu' });
      using gpu = ClassCenters.create({ classes, dim: 1, device: 'cuda:0' });
      for (const [step, rate] of [1e-4, 0.1, 0.7].entries()) {
        const labels = Int32Array.from({ length: 12 }, (_, i) => (i * 7919) % classes);
        const request = { labels, rate, seed: 2n ** 63n + 9n, step, shard: 2 };
        expect(gpu.sample(request)).toEqual(cpu.sample(request));
      }
    }
  });

  it('says which kernels run', () => {
    const kernelsOf = (options: object, kernels: 'auto' | 'plain' = 'auto') => {
      using centers = ClassCenters.create({ ...shape, classes: 300, device: 'cuda:0', kernels, ...options });
      return centers.kernels(1024);
    };
    expect(kernelsOf({})).toBe('plain-fp32');
    expect(kernelsOf({ precision: 'bf16', dim: 512 })).toMatch(/^(mma|wgmma)-bf16-d512$/);
    expect(kernelsOf({ precision: 'bf16-master', dim: 130 })).toMatch(/^(mma|wgmma)-bf16-d256$/);
    expect(kernelsOf({ precision: 'bf16', dim: 512 }, 'plain')).toBe('plain-bf16');
    expect(kernelsOf({ precision: 'bf16', dim: 513 })).toMatch(/^plain-bf16 \(D = 513\)$/);
    expect(kernelsOf({ precision: 'bf16', subCenters: 3 })).toMatch(/^plain-bf16 \(K = 3\)$/);
  });

  it('refuses kernels that do not serve the problem or the device', async () => {
    const create = (kernels: 'mma' | 'wgmma', options: object) =>
      ClassCenters.create({ ...shape, device: 'cuda:0', kernels, ...options }).dispose();
    await expectError(() => create('mma', {}), 'E_RANGE', /kernels: expected .* received fp32; use kernels 'auto'/);
    await expectError(() => create('mma', { precision: 'bf16', subCenters: 2 }), 'E_RANGE', /received K = 2/);
    if (cuda?.instructionSet !== 'sm_90a') {
      // A device of that capability calls itself sm_90 where the build is without sm_90a.
      const refusal = cuda?.instructionSet === 'sm_90' ? /received one without sm_90a/ : /kernels: .* received wgmma/;
      await expectError(() => create('wgmma', { precision: 'bf16' }), 'E_DEVICE', refusal);
    }
  });

  it('tells the device time of a step', () => {
    using device = openDevice('cuda:0');
    using centers = device.createCenters(shape);
    expect(centers.lastTimes()).toBeUndefined();
    const { step } = centers.forward(makeBatch(shape));
    centers.update(step, sgd);
    const { forwardMs, updateMs } = centers.lastTimes()!;
    expect(forwardMs).toBeGreaterThan(0);
    expect(updateMs).toBeGreaterThan(0);
    expect(forwardMs + updateMs).toBeLessThan(60_000);
  });

  it.each(PRECISIONS)(
    'gives the same bits in every run, beside another engine, and after a file: %s',
    async (precision) => {
      const folder = mkdtempSync(join(tmpdir(), 'hyperarc-cuda-'));
      const path = join(folder, 'centers.safetensors');
      const train = async (centers: ClassCenters, from: number, to: number, meanwhile?: () => unknown) => {
        for (let t = from; t < to; t++) {
          const { step } = await centers.forwardAsync(makeBatch(shape, t));
          const update = centers.updateAsync(step, { ...sgd, roundingStep: t });
          await meanwhile?.();
          await update;
          step.dispose();
        }
        return bits(centers.readRows(0, shape.classes)).toString('hex');
      };
      try {
        using device = openDevice('cuda:0');
        using first = device.createCenters({ ...shape, precision, seed: 5 });
        const expected = await train(first, 0, 4);

        using otherDevice = openDevice('cuda:0');
        using other = otherDevice.createCenters({ ...shape, precision, seed: 6 });
        using second = device.createCenters({ ...shape, precision, seed: 5 });
        await train(second, 0, 2, () => train(other, 0, 1));
        await second.save(path);
        expect(await train(second, 2, 4, () => train(other, 0, 1))).toBe(expected);

        using resumed = await ClassCenters.load(path, { device });
        expect(resumed.config.precision).toBe(precision);
        expect(await train(resumed, 2, 4)).toBe(expected);

        // A CPU reads what a GPU wrote.
        using onCpu = await ClassCenters.load(path, { device: 'cpu', precision: 'fp32' });
        using again = await ClassCenters.load(path, { device });
        expect(bits(onCpu.readRows(0, shape.classes))).toEqual(bits(again.readRows(0, shape.classes)));
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});
