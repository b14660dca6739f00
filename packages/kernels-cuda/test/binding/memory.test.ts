/** E_MEMORY: refused before the memory is touched, with a plan of what was asked for. */
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';

import { openDevice, type ClassCenters, type HyperArcError, type MemoryPlan, type Step } from '../../dist/index.js';
import { expectError, isCpu, makeBatch, sgd, testDevice } from './support.js';

const shape = { classes: 11, dim: 4, batch: 3 };
const device = openDevice(testDevice, { threads: 1 });
afterAll(() => device.dispose());
afterEach(() => vi.restoreAllMocks());

/** The plan of the E_MEMORY that `call` throws or rejects with. */
async function planOf(call: () => unknown): Promise<MemoryPlan> {
  try {
    await call();
  } catch (error) {
    expect((error as HyperArcError).code, String(error)).toBe('E_MEMORY');
    expect((error as HyperArcError).plan).toBeDefined();
    return (error as HyperArcError).plan!;
  }
  return expect.fail('expected E_MEMORY');
}

const passes: [name: 'update' | 'gradients', (centers: ClassCenters, steps: Step[]) => unknown][] = [
  ['update', (centers, steps) => centers.update(steps, sgd)],
  ['update', (centers, steps) => centers.updateAsync(steps, sgd)],
  ['gradients', (centers, steps) => centers.gradients(steps)],
  ['gradients', (centers, steps) => centers.gradientsAsync(steps)],
];

describe('pass 2 that finds no memory', () => {
  // The engine takes kilobytes here, so that its refusal has to be played.
  it.each(passes)('%s says what all its steps together take: form %#', async (name, call) => {
    using centers = device.createCenters(shape);
    const steps = [1, 2].map((seed) => centers.forward(makeBatch(shape, seed)).step);
    const refusal = Object.assign(new Error('scratch: expected memory, received none'), { code: 'E_MEMORY' });
    vi.spyOn(centers.native, name).mockImplementation(() => {
      throw refusal;
    });
    vi.spyOn(centers.native, `${name}Async`).mockRejectedValue(refusal);
    const plan = await planOf(() => call(centers, steps));
    const expected = device.plan({ ...shape, batch: 6 });
    expect(plan.persistentBytes).toBe(expected.persistentBytes);
    const gradient = { name: 'dense gradient', bytes: 4 * 11 * 4, persistent: false };
    if (name === 'update') {
      expect(plan).toMatchObject({ parts: expected.parts, peakBytes: expected.peakBytes });
    } else {
      expect(plan.parts).toEqual([...expected.parts, gradient]);
      expect(plan).toMatchObject({ peakBytes: expected.peakBytes + gradient.bytes, fits: false });
    }
  });

  it('gradients larger than the memory are refused before they are taken', async () => {
    using centers = device.createCenters(shape);
    const { step } = centers.forward(makeBatch(shape));
    vi.spyOn(process, 'availableMemory').mockReturnValue(2 ** 30);
    vi.spyOn(centers, 'shape', 'get').mockReturnValue([2 ** 20, 1, 512]);
    const native = vi.spyOn(centers.native, 'gradients');
    const message =
      /^E_MEMORY: gradients: expected .* 1073741824 bytes available, received one of 2147483648 bytes; up/;
    await expectError(() => centers.gradients(step), 'E_MEMORY', message);
    const plan = await planOf(() => centers.gradientsAsync(step));
    expect(plan.parts.at(-1)).toEqual({ name: 'dense gradient', bytes: 2 ** 31, persistent: false });
    expect(native).not.toHaveBeenCalled();
  });
});

// A million rows keep the host harness busy for a minute.
it.runIf(isCpu)('logits that the memory does not hold', async () => {
  using many = device.createCenters({ classes: 1_000_000, dim: 1, momentum: false });
  vi.spyOn(process, 'availableMemory').mockReturnValue(399_999_999);
  const message = /^E_MEMORY: logits: expected .* 399999999 bytes available, received one of 400000000 bytes; ask for/;
  await expectError(() => many.logits(new Float32Array(100)), 'E_MEMORY', message);
  await expectError(() => many.logitsAsync(new Float32Array(100)), 'E_MEMORY', message);
  expect(many.logits(new Float32Array(2)).length).toBe(2_000_000);
});
