/** Arguments that no honest caller passes. The addon answers with an Error, and the process goes on. */
import { afterEach, describe, expect, it } from 'vitest';

import { checkMarginRule, loadAddon } from '../../dist/index.js';
import { makeBatch, margin, randomNumbers, testDevice } from './support.js';

const addon = loadAddon();
const shape = { classes: 7, dim: 4, batch: 3 };
const config = {
  ...shape,
  subCenters: 1,
  precision: 'fp32' as const,
  firstClass: 0,
  globalClasses: 0,
  optimizer: 'sgd' as const,
  momentum: true,
};
const engineConfig = {
  kind: testDevice.split(':')[0] as 'cpu' | 'cuda',
  index: 0,
  instructionSet: 'auto' as const,
  threads: 1,
  kernels: 'auto' as const,
};
const rule = checkMarginRule(margin);
const branch = { value: [0, 1, 0.5], slope: [1, 0.25] } as const;
const negatives = { threshold: 'target', above: branch, below: branch } as const;
let engine = addon.createEngine(engineConfig);
afterEach(() => {
  engine.dispose();
  engine = addon.createEngine(engineConfig);
});

const makeOutputs = () => ({
  loss: new Float32Array(shape.batch),
  embeddingGradient: new Float32Array(shape.batch * shape.dim),
  targetCosine: new Float32Array(shape.batch),
  rowGradient: new Float32Array(4 * shape.batch),
});

function nativeBatch() {
  const { embeddings, labels } = makeBatch(shape);
  return { embeddings, labels, rule };
}

/** Moves the memory of an array away, as postMessage with a transfer list does. */
function detach(array: Float32Array | Float64Array | Int32Array): void {
  structuredClone(array, { transfer: [array.buffer as ArrayBuffer] });
}

describe('an argument that changes the world while it is read', () => {
  it('disposes the centres', () => {
    const centers = engine.createCenters(config);
    const batch = {
      ...nativeBatch(),
      get rowParameters() {
        centers.dispose();
        return undefined;
      },
    };
    expect(() => centers.forward(batch, engine.createStep(), makeOutputs())).toThrow(/disposed/);
  });

  it('disposes the engine while steps are read', () => {
    const centers = engine.createCenters(config);
    const step = engine.createStep();
    centers.forward(nativeBatch(), step, makeOutputs());
    const steps: (typeof step)[] = [];
    Object.defineProperty(steps, '0', {
      get() {
        engine.dispose();
        return step;
      },
    });
    const sgd = { learningRate: 0.1, momentum: 0, weightDecay: 0, unsampled: 'frozen' as const, roundingStep: 0n };
    const options = { ...sgd, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    expect(() => centers.update(steps, options)).toThrow(/disposed/);
    expect(() => centers.gradients(steps)).toThrow(/disposed/);
  });

  it('detaches buffers that were read before', () => {
    const centers = engine.createCenters(config);
    const batch = nativeBatch();
    const out = {
      ...makeOutputs(),
      get targetCosine() {
        detach(batch.embeddings);
        detach(batch.labels);
        return new Float32Array(shape.batch);
      },
    };
    expect(() => centers.forward(batch, engine.createStep(), out)).toThrow(/expected at least one label/);
  });

  it('disposes the centres while the coefficients of a negative rule are read', () => {
    const centers = engine.createCenters(config);
    const value = [0, 1, 0.5] as [number, number, number];
    Object.defineProperty(value, '2', {
      get() {
        centers.dispose();
        return 0.5;
      },
    });
    const changing = { ...rule, negatives: { ...negatives, below: { ...branch, value } } };
    const batch = { ...nativeBatch(), rule: changing };
    expect(() => centers.forward(batch, engine.createStep(), makeOutputs())).toThrow(/disposed/);
  });

  it('throws', () => {
    const trap = new Proxy(
      {},
      {
        get: () => {
          throw new RangeError('trapped');
        },
      },
    );
    expect(() => addon.createEngine(trap as never)).toThrow('trapped');
    expect(() => engine.createCenters(trap as never)).toThrow('trapped');
  });
});

describe('buffers', () => {
  it('that are detached while a forward is in flight reject it, and nothing is written', async () => {
    const centers = engine.createCenters(config);
    const step = engine.createStep();
    const out = makeOutputs();
    const flight = centers.forwardAsync(nativeBatch(), step, out);
    detach(out.embeddingGradient);
    await expect(flight).rejects.toMatchObject({ code: 'E_SHAPE' });
    expect(out.loss).toEqual(new Float32Array(shape.batch));
    expect([centers.state, step.state]).toEqual(['live', 'ready']);
  });

  it('of rows by number that are detached have no row; of shared memory they work', () => {
    const centers = engine.createCenters(config);
    const gone = Float64Array.of(1, 2);
    detach(gone);
    expect(() => centers.readRowsAt('weights', gone)).toThrow(/rows: expected at least one row, received none/);
    expect(() => centers.writeRowsAt('weights', gone, new Float32Array(8))).toThrow(/rows: expected at least one row/);
    const values = new Float32Array(8);
    detach(values);
    expect(() => centers.writeRowsAt('weights', Float64Array.of(1, 2), values)).toThrow(/values: expected length 8/);
    const rows = new Float64Array(new SharedArrayBuffer(16));
    rows.set([6, 0]);
    centers.writeRowsAt('weights', rows, Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    expect([...centers.readRowsAt('weights', Float64Array.of(0, 6, 0))]).toEqual([5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('of target cosines may go as soon as the call is made', async () => {
    const centers = engine.createCenters(config);
    const { embeddings, labels } = nativeBatch();
    const expected = centers.targetCosines(embeddings, labels);
    const flight = centers.targetCosinesAsync(embeddings, labels);
    detach(embeddings);
    detach(labels);
    expect(await flight).toEqual(expected);
    expect(() => centers.targetCosines(embeddings, labels)).toThrow(/labels: expected at least one label/);
  });

  it('of shared memory, and buffers that overlap, work', () => {
    const centers = engine.createCenters(config);
    const { embeddings, labels } = nativeBatch();
    const shared = new Float32Array(new SharedArrayBuffer(embeddings.byteLength));
    shared.set(embeddings);
    const [expected, out] = [makeOutputs(), { ...makeOutputs(), embeddingGradient: shared }];
    centers.forward({ embeddings, labels, rule }, engine.createStep(), expected);
    centers.forward({ embeddings: shared, labels, rule }, engine.createStep(), out);
    expect(Array.from(shared)).toEqual(Array.from(expected.embeddingGradient));
  });
});

describe('objects', () => {
  it('cannot be constructed, nor their methods borrowed', () => {
    const objects = [engine, engine.createCenters(config), engine.createStep()];
    for (const object of objects) {
      const Constructor = object.constructor as new () => object;
      expect(() => new Constructor()).toThrow(/received a constructor call/);
      for (const name of Object.getOwnPropertyNames(Constructor.prototype)) {
        if (name === 'constructor') continue;
        const property = Object.getOwnPropertyDescriptor(Constructor.prototype, name);
        const method = property?.get ?? (property?.value as () => unknown);
        for (const receiver of [undefined, {}, addon, Object.create(object), new Proxy(object, {}), ...objects]) {
          if (receiver !== object) expect(() => method.call(receiver), name).toThrow();
        }
      }
    }
  });
});

describe('junk', () => {
  /** Values of every kind, some of them nearly right. */
  function junkMaker(seed: number) {
    const random = randomNumbers(seed);
    const below = (count: number) => Math.floor(((random() + 1) / 2) * count);
    const numbers = [0, -0, 1, 3, 4, 7, 12, -1, 0.5, 100, 2 ** 31, 2 ** 31 - 1, 2 ** 53, 1e308, Number.NaN, Infinity];
    const names = [
      'weights',
      'momentum',
      'targetLogits',
      'sumExp',
      'cpu',
      'cuda',
      'auto',
      'fp32',
      'hard',
      'target',
      'sphere',
      'frozen',
      '',
    ];
    const negativeFields = ['threshold', 'above', 'below'];
    const makers: (() => unknown)[] = [
      () => undefined,
      () => null,
      () => below(2) === 1,
      () => numbers[below(numbers.length)],
      () => names[below(names.length)],
      () => BigInt(below(9)) - 1n,
      () => 1n << 64n,
      () => Symbol('junk'),
      () => () => 1,
      () => Array.from({ length: below(4) }, () => (below(3) === 0 ? engine.createStep() : junk())),
      () => new Float32Array([0, 1, 3, 4, 12, 28][below(6)]!).fill(below(2) === 0 ? 1 : Number.NaN),
      () => new Int32Array(below(5)).fill(below(12) - 3),
      () => new Float64Array(below(5)).fill(below(9) - 1),
      () => new BigUint64Array(below(3)),
      () => new Uint8ClampedArray(below(5)),
      () => new DataView(new ArrayBuffer(8)),
      () => new Float32Array(new SharedArrayBuffer(48)),
      () => {
        const detached = new Float32Array(12);
        detach(detached);
        return detached;
      },
      () => ({ ...config, [Object.keys(config)[below(7)]!]: junk() }),
      () => ({ ...nativeBatch(), [['embeddings', 'labels', 'rule', 'sampled', 'rowParameters'][below(5)]!]: junk() }),
      () => ({ ...nativeBatch(), rule: { ...rule, [Object.keys(rule)[below(10)]!]: junk() } }),
      () => ({ ...nativeBatch(), rule: { ...rule, negatives: { ...negatives, [negativeFields[below(3)]!]: junk() } } }),
      () => ({ ...nativeBatch(), rule: { ...rule, negatives: { ...negatives, above: { ...branch, value: junk() } } } }),
      () => ({ ...makeOutputs(), [Object.keys(makeOutputs())[below(4)]!]: junk() }),
      () => ({ learningRate: 0.1, momentum: 0.5, weightDecay: 0, unsampled: 'frozen' }),
      () => ({ ...convShape(), [Object.keys(convShape())[below(15)]!]: junk() }),
      () => engine.createStep(),
      () => engine.createCenters(config),
      () => new Proxy({}, {}),
    ];
    const junk = (): unknown => makers[below(makers.length)]!();
    return { junk, below };
  }

  const convShape = () => ({
    batch: 1,
    inHeight: 2,
    inWidth: 2,
    inChannels: 1,
    outHeight: 2,
    outWidth: 2,
    outChannels: 1,
    filterHeight: 1,
    filterWidth: 1,
    strideHeight: 1,
    strideWidth: 1,
    padTop: 0,
    padLeft: 0,
    dilationHeight: 1,
    dilationWidth: 1,
  });

  it.each([1, 2, 3, 4])('in every argument of every function: seed %i', async (seed) => {
    const { junk, below } = junkMaker(seed);
    const centers = engine.createCenters(config);
    const promises: Promise<unknown>[] = [];
    // Registering with TensorFlow takes no argument; disposing ends the round.
    const skipped = new Set(['constructor', 'dispose', 'registerTensorFlowOps']);
    const methods = [addon, engine, centers].flatMap((target) =>
      Object.getOwnPropertyNames(target === addon ? target : Object.getPrototypeOf(target))
        .filter((name) => !skipped.has(name) && typeof (target as never)[name] === 'function')
        .map((name) => ({ target: target as object as Record<string, (...values: unknown[]) => unknown>, name })),
    );
    for (let i = 0; i < 4000; i += 1) {
      const { target, name } = methods[i % methods.length]!;
      const values = Array.from({ length: below(6) }, junk);
      try {
        const result = target[name]!(...values);
        if (result instanceof Promise) promises.push(result);
      } catch (error) {
        expect(error, name).toBeInstanceOf(Error);
        expect((error as { code?: string }).code ?? '', `${name}: ${String(error)}`).not.toBe('E_INTERNAL');
      }
      if (promises.length > 20) await Promise.allSettled(promises.splice(0));
    }
    for (const result of await Promise.allSettled(promises)) {
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(Error);
    }
    expect(centers.state).toBe('live');
  });
});
