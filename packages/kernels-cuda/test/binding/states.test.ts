/** State × operation: every operation of class centres in every state of the centres and of the step they are given. */
import { afterAll, describe, expect, it } from 'vitest';

import { ClassCenters, openDevice, type Step } from '../../dist/index.js';
import { expectError, makeBatch, sgd, testDevice } from './support.js';

const shape = { classes: 13, dim: 8, batch: 4 };
const batch = makeBatch(shape);
const device = openDevice(testDevice, { threads: 1 });
const otherDevice = openDevice(testDevice, { threads: 1 });
afterAll(() => {
  device.dispose();
  otherDevice.dispose();
});

type Operation = (centers: ClassCenters, step: Step) => unknown;

/** Operations that work on the calling thread. */
const synchronous: Record<string, Operation> = {
  seed: (centers) => centers.seed(1),
  readRows: (centers) => centers.readRows(0, 1),
  writeRows: (centers) => centers.writeRows(0, new Float32Array(shape.dim)),
  readRowsAt: (centers) => centers.readRowsAt('momentum', [12, 3]),
  writeRowsAt: (centers) => centers.writeRowsAt('weights', [12], new Float32Array(shape.dim)),
  resize: (centers) => centers.resize(14),
  forward: (centers, step) => centers.forward({ ...batch, step }),
  'forward with a step of its own': (centers) => centers.forward(batch),
  targetTerms: (centers, step) => centers.targetTerms({ ...batch, step }),
  negativeSums: (centers, step) => centers.negativeSums(step),
  finishForward: (centers, step) => centers.finishForward(step),
  getSeam: (centers, step) => centers.getSeam(step, 'targetLogits'),
  setSeam: (centers, step) => centers.setSeam(step, 'targetLogits', new Float32Array(shape.batch)),
  update: (centers, step) => centers.update(step, sgd),
  gradients: (centers, step) => centers.gradients(step),
  logits: (centers) => centers.logits(batch.embeddings),
  targetCosines: (centers) => centers.targetCosines(batch),
  sample: (centers) => centers.sample({ labels: batch.labels, rate: 0.5 }),
};

const asynchronous: Record<string, Operation> = {
  forwardAsync: (centers, step) => centers.forwardAsync({ ...batch, step }),
  updateAsync: (centers, step) => centers.updateAsync(step, sgd),
  gradientsAsync: (centers, step) => centers.gradientsAsync(step),
  logitsAsync: (centers) => centers.logitsAsync(batch.embeddings),
  targetCosinesAsync: (centers) => centers.targetCosinesAsync(batch),
  sampleAsync: (centers) => centers.sampleAsync({ labels: batch.labels, rate: 0.5 }),
};

/** The operations that want a step, and the step each wants: what the forward pass must have come to. */
const stepWanted: Record<string, 'any' | 'targetTerms' | 'negativeSums' | 'ready'> = {
  forward: 'any',
  forwardAsync: 'any',
  targetTerms: 'any',
  negativeSums: 'targetTerms',
  finishForward: 'negativeSums',
  getSeam: 'ready',
  setSeam: 'ready',
  update: 'ready',
  updateAsync: 'ready',
  gradients: 'ready',
  gradientsAsync: 'ready',
};

const operations = Object.entries({ ...synchronous, ...asynchronous });
const withStep = operations.filter(([name]) => name in stepWanted);

function makeCenters(on = device): ClassCenters {
  return on.createCenters(shape);
}

/** A step of `centers` in the stage that the operation wants. */
function stepFor(name: string, centers: ClassCenters): Step {
  const wanted = stepWanted[name] ?? 'ready';
  if (wanted === 'ready' || wanted === 'any') return centers.forward(batch).step;
  const step = centers.targetTerms(batch);
  if (wanted === 'negativeSums') centers.negativeSums(step);
  return step;
}

describe.each(operations)('%s', (name, operation) => {
  it('works on live centres', async () => {
    using centers = makeCenters();
    await operation(centers, stepFor(name, centers));
    expect(centers.state).toBe('live');
  });

  it('answers E_BUSY while an operation is in flight, or queues if it is asynchronous', async () => {
    using centers = makeCenters();
    const step = stepFor(name, centers);
    const flight = centers.logitsAsync(batch.embeddings);
    expect(centers.state).toBe('in-flight');
    if (name in synchronous) await expectError(() => operation(centers, step), 'E_BUSY');
    else await operation(centers, step);
    await flight;
    expect(centers.state).toBe('live');
  });

  it('answers E_DISPOSED on disposed centres', async () => {
    const centers = makeCenters();
    const step = stepFor(name, centers);
    centers.dispose();
    expect(centers.state).toBe('disposed');
    await expectError(() => operation(centers, step), 'E_DISPOSED');
  });

  it('answers E_DISPOSED when the device was disposed', async () => {
    const gone = openDevice(testDevice, { threads: 1 });
    const centers = makeCenters(gone);
    const step = stepFor(name, centers);
    gone.dispose();
    expect([centers.state, step.state]).toEqual(['disposed', 'disposed']);
    await expectError(() => operation(centers, step), 'E_DISPOSED');
  });

  it('finishes when the centres are disposed in flight', async () => {
    if (name in synchronous) return;
    const centers = makeCenters();
    const step = stepFor(name, centers);
    const flight = operation(centers, step);
    centers.dispose();
    step.dispose();
    expect([centers.state, step.state]).toEqual(['disposed', 'disposed']);
    await flight;
  });
});

describe.each(withStep)('%s with a step', (name, operation) => {
  it('that was disposed: E_DISPOSED', async () => {
    using centers = makeCenters();
    const step = stepFor(name, centers);
    step.dispose();
    step.dispose();
    await expectError(() => operation(centers, step), 'E_DISPOSED');
  });

  it('of another device: E_DEVICE', async () => {
    using centers = makeCenters();
    using others = makeCenters(otherDevice);
    await expectError(() => operation(centers, stepFor(name, others)), 'E_DEVICE');
  });

  it('of other centres on the device: E_RANGE, or its memory is used again', async () => {
    using centers = makeCenters();
    using others = makeCenters();
    const step = stepFor(name, others);
    if (stepWanted[name] === 'any') await operation(centers, step);
    else await expectError(() => operation(centers, step), 'E_RANGE');
  });

  it('that is empty: E_RANGE, or it is filled', async () => {
    using centers = makeCenters();
    if (stepWanted[name] === 'any') await operation(centers, centers.createStep());
    else await expectError(() => operation(centers, centers.createStep()), 'E_RANGE');
  });

  it('that is something else: E_RANGE', async () => {
    using centers = makeCenters();
    for (const value of [null, 1, 'step', {}, Object.create(centers.createStep())]) {
      await expectError(() => operation(centers, value as Step), 'E_RANGE', /step/);
    }
  });

  it('that other centres use in flight: E_BUSY, or it queues if it is asynchronous', async () => {
    using centers = makeCenters();
    using others = makeCenters();
    const step = stepFor(name, centers);
    const flight = others.forwardAsync({ ...batch, step });
    expect(step.state).toBe('in-flight');
    if (name in synchronous) await expectError(() => operation(centers, step), 'E_BUSY');
    else await Promise.allSettled([operation(centers, step)]);
    await flight;
    expect(step.state).toBe('ready');
  });

  it('of weights that have moved: E_STALE, where the pass depends on them', async () => {
    using centers = makeCenters();
    const step = stepFor(name, centers);
    centers.writeRows(0, new Float32Array(shape.dim).fill(1));
    if (['update', 'gradients', 'negativeSums', 'finishForward'].includes(name.replace('Async', ''))) {
      await expectError(() => operation(centers, step), 'E_STALE');
    } else {
      await operation(centers, step);
    }
  });
});

describe('states', () => {
  it('are readable in every state', () => {
    const centers = makeCenters();
    const step = centers.createStep();
    expect([step.state, step.batch]).toEqual(['empty', 0]);
    centers.forward({ ...batch, step });
    expect([step.state, step.batch]).toEqual(['ready', shape.batch]);
    expect(step.bytes).toBeGreaterThan(0);
    const { id } = centers;
    centers.dispose();
    centers.dispose();
    step.dispose();
    expect([centers.id, centers.bytes, centers.shape]).toEqual([id, 0, [13, 1, 8]]);
    expect([step.state, step.batch, step.bytes]).toEqual(['disposed', 0, 0]);
  });

  it('a failed forward leaves the step empty and the centres as they were', async () => {
    using centers = makeCenters();
    const { step } = centers.forward(batch);
    const labels = batch.labels.map(() => 99);
    await expectError(() => centers.forward({ ...batch, labels, step }), 'E_RANGE');
    expect(step.state).toBe('empty');
    await expectError(() => centers.forwardAsync({ ...batch, labels, step }), 'E_RANGE');
    expect([step.state, centers.state]).toEqual(['empty', 'live']);
    await expectError(() => centers.update(step, sgd), 'E_RANGE');
    centers.update(centers.forward({ ...batch, step }).step, sgd);
  });

  it('a device that is disposed answers E_DISPOSED and still says what it was', async () => {
    const gone = openDevice(testDevice);
    gone.dispose();
    gone.dispose();
    expect(gone.disposed).toBe(true);
    expect(gone.info.kind).toBe(testDevice.split(':')[0]);
    await expectError(() => gone.plan({ ...shape }), 'E_DISPOSED');
    await expectError(() => gone.createCenters(shape), 'E_DISPOSED');
  });

  it('operations of two centres on one device do not disturb each other', async () => {
    using a = makeCenters();
    using b = makeCenters();
    const flight = a.forwardAsync(batch);
    const now = b.forward(batch);
    expect((await flight).loss).toBe(now.loss);
  });

  it('a step twice in one update: E_RANGE; no step: E_SHAPE', async () => {
    using centers = makeCenters();
    const { step } = centers.forward(batch);
    await expectError(() => centers.update([step, step], sgd), 'E_RANGE');
    await expectError(() => centers.update([], sgd), 'E_SHAPE');
  });
});
