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

type Native = ClassCenters['native'];
/** A method of the addon that is refused, what calls it, and the samples of the plan: 1 where the call has none. */
type Refused = [name: keyof Native, call: (centers: ClassCenters, steps: Step[]) => unknown, samples: number];

const batch = makeBatch(shape);
const { embeddings, labels } = batch;
const draw = { labels, rate: 0.5, seed: 1, step: 0 };
const refused: Refused[] = [
  ['forward', (centers) => centers.forward(batch), 3],
  ['forwardAsync', (centers) => centers.forwardAsync(batch), 3],
  ['targetTerms', (centers) => centers.targetTerms(batch), 3],
  ['negativeSums', (centers) => centers.negativeSums(centers.targetTerms(batch)), 3],
  ['finishForward', (centers) => finish(centers), 3],
  ['update', (centers, steps) => centers.update(steps, sgd), 6],
  ['updateAsync', (centers, steps) => centers.updateAsync(steps, sgd), 6],
  ['targetCosines', (centers) => centers.targetCosines({ embeddings, labels }), 3],
  ['targetCosinesAsync', (centers) => centers.targetCosinesAsync({ embeddings, labels }), 3],
  ['sample', (centers) => centers.sample(draw), 1],
  ['sampleAsync', (centers) => centers.sampleAsync(draw), 1],
  ['seedNormal', (centers) => centers.seed(1), 1],
  ['readRows', (centers) => centers.readRows(0, 2), 1],
  ['writeRows', (centers) => centers.writeRows(0, new Float32Array(8)), 1],
  ['readRowsAt', (centers) => centers.readRowsAt('weights', [3, 1]), 1],
  ['writeRowsAt', (centers) => centers.writeRowsAt('weights', [3, 1], new Float32Array(8)), 1],
  ['getSeam', (centers, steps) => centers.getSeam(steps[0]!, 'embeddingGradient'), 1],
  ['setSeam', (centers, steps) => centers.setSeam(steps[0]!, 'sumExp', new Float32Array(3)), 1],
];

function finish(centers: ClassCenters) {
  const step = centers.targetTerms(batch);
  centers.negativeSums(step);
  return centers.finishForward(step);
}

/** Calls that hold a large result too, and its part of the plan. */
const refusedResults: [...Refused, part: string, elements: number][] = [
  ['gradients', (centers, steps) => centers.gradients(steps), 6, 'dense gradient', 11 * 4],
  ['gradientsAsync', (centers, steps) => centers.gradientsAsync(steps), 6, 'dense gradient', 11 * 4],
  ['cosines', (centers) => centers.logits(embeddings), 3, 'logits', 3 * 11],
  ['cosinesAsync', (centers) => centers.logitsAsync(embeddings), 3, 'logits', 3 * 11],
];

/** The plan of `call` while the engine refuses it: it takes kilobytes here, so that its refusal has to be played. */
async function planOfRefused([name, call]: Refused): Promise<MemoryPlan> {
  using centers = device.createCenters(shape);
  const steps = [1, 2].map((seed) => centers.forward(makeBatch(shape, seed)).step);
  const refusal = Object.assign(new Error('scratch: expected memory, received none'), { code: 'E_MEMORY' });
  vi.spyOn(centers.native, name as 'update').mockImplementation(() => {
    throw refusal;
  });
  return planOf(() => call(centers, steps));
}

describe('what finds no memory says what it would take', () => {
  it.each(refused)('%s', async (...operation) => {
    const [, , samples] = operation;
    const plan = await planOfRefused(operation);
    const { parts, persistentBytes, peakBytes } = device.plan({ ...shape, batch: samples });
    expect(plan).toMatchObject({ parts, persistentBytes, peakBytes });
  });

  it.each(refusedResults)('%s, with its result', async (name, call, samples, part, elements) => {
    const plan = await planOfRefused([name, call, samples]);
    const { parts, persistentBytes, peakBytes } = device.plan({ ...shape, batch: samples });
    expect(plan.parts).toEqual([...parts, { name: part, bytes: 4 * elements, persistent: false }]);
    expect(plan).toMatchObject({ persistentBytes, peakBytes: peakBytes + 4 * elements, fits: false });
  });

  it('a batch of few classes', async () => {
    using centers = device.createCenters(shape);
    vi.spyOn(centers.native, 'forward').mockImplementation(() => {
      throw Object.assign(new Error('forward: expected memory, received none'), { code: 'E_MEMORY' });
    });
    const sampled = Int32Array.from([...new Set(labels)].sort((a, b) => a - b));
    const plan = await planOf(() => centers.forward({ ...batch, sampled }));
    expect(plan.parts).toEqual(device.plan({ ...shape, batch: 3, rate: sampled.length / 11 }).parts);
  });

  it('resize: the new centres', async () => {
    using centers = device.createCenters(shape);
    vi.spyOn(centers.native, 'resize').mockImplementation(() => {
      throw Object.assign(new Error('classes: expected memory, received none'), { code: 'E_MEMORY' });
    });
    const plan = await planOf(() => centers.resize(20));
    expect(plan.parts).toEqual(device.plan({ ...shape, classes: 20, batch: 1 }).parts);
  });

  it('every method of the addon is here', () => {
    using centers = device.createCenters(shape);
    const { native } = centers;
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(native)).filter(
      (name) => name !== 'constructor' && typeof native[name as keyof Native] === 'function',
    );
    const takesNoMemory = ['dispose', 'kernels', 'lastTimes', 'setUpdates'];
    const tried = [...refused, ...refusedResults].map(([name]) => name);
    expect(methods.sort()).toEqual([...tried, ...takesNoMemory, 'resize'].sort());
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
  const { parts } = await planOf(() => many.logits(new Float32Array(100)));
  expect(parts.at(-1)).toEqual({ name: 'logits', bytes: 4e8, persistent: false });
  expect(many.logits(new Float32Array(2)).length).toBe(2_000_000);
});
