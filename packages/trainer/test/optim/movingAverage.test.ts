import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { readModelWeights } from '../../dist/checkpoint/index.js';
import { FusedBatchNorm, PaddedConv2D, SeededDropout } from '../../dist/layers/index.js';
import { MovingAverage } from '../../dist/optim/index.js';
import { backends, useBackend, values } from '../layers/backends.js';

function makeModel(): tfl.LayersModel {
  const input = tfl.input({ shape: [3, 3, 2] });
  const layers = [
    new PaddedConv2D({ name: 'conv', filters: 4, kernelSize: 3, padding: 1 }),
    new FusedBatchNorm({ name: 'bn' }),
    tfl.layers.flatten({ name: 'flatten' }),
    new SeededDropout({ name: 'dropout', rate: 0.1, seed: 1 }),
    tfl.layers.dense({ name: 'fc', units: 5 }),
  ];
  const output = layers.reduce((x, layer) => layer.apply(x) as tfl.SymbolicTensor, input);
  const model = tfl.model({ inputs: input, outputs: output });
  move(model, 9);
  return model;
}

/** Sets every weight to other values, as a step of training does. */
function move(model: tfl.LayersModel, step: number): void {
  model.weights.forEach((weight, i) => {
    const shape = weight.shape as number[];
    const size = shape.reduce((a, b) => a * b, 1);
    const next =
      weight.dtype === 'int32' ? tf.fill(shape, step, 'int32') : tf.tensor(values(size, 50 * step + i), shape);
    weight.write(next);
    next.dispose();
  });
}

const snapshot = (model: tfl.LayersModel): Record<string, number[]> =>
  Object.fromEntries([...readModelWeights(model)].map(([name, { values: v }]) => [name, [...v]]));

/** The recurrence in float64, by the names of the weights. */
function plainAverage(start: Record<string, number[]>) {
  const averages = Object.fromEntries(Object.entries(start).map(([name, v]) => [name, Float64Array.from(v)]));
  return {
    averages,
    update(weights: Record<string, number[]>, decay: number) {
      for (const [name, a] of Object.entries(averages)) {
        a.forEach((value, i) => (a[i] = decay * value + (1 - decay) * weights[name]![i]!));
      }
    },
  };
}

describe.each(backends.slice(-1))('MovingAverage on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it.each([
    // (1 + n)/(10 + n) until it passes 0.4.
    { warmup: true, decays: [2 / 11, 3 / 12, 4 / 13, 5 / 14, 0.4] },
    { warmup: false, decays: [0.4, 0.4, 0.4, 0.4, 0.4] },
  ])('averages weights and running statistics as float64 does: warm-up $warmup', ({ warmup, decays }) => {
    const model = makeModel();
    const plain = plainAverage(snapshot(model));
    const average = new MovingAverage(model, { decay: 0.4, warmup });
    for (let step = 1; step <= 5; step++) {
      move(model, step);
      average.update();
      plain.update(snapshot(model), decays[step - 1]!);
    }
    expect(average.updates).toBe(5);
    const state = average.state();
    expect([...state.keys()].sort()).toEqual(Object.keys(plain.averages).sort());
    expect([...state.keys()].filter((name) => name.includes('running'))).not.toHaveLength(0);
    for (const [name, { values: v }] of state) {
      if (v instanceof Int32Array) {
        // Counters are the model's own.
        expect([...v], name).toEqual([5]);
        continue;
      }
      v.forEach((value, i) => expect(Math.abs(value - plain.averages[name]![i]!), name).toBeLessThan(5e-7));
    }
    model.dispose();
  });

  it('lends the averages to the model and takes them back, also after a failure, and leaves no tensor', async () => {
    const model = makeModel();
    const average = new MovingAverage(model, { decay: 0.9, warmup: false });
    move(model, 1);
    average.update();
    const own = snapshot(model);
    const { numTensors } = tf.memory();
    const averaged = await average.apply(() => Promise.resolve(snapshot(model)));
    expect(averaged['fc/kernel']).not.toEqual(own['fc/kernel']);
    expect(averaged['fc/kernel']).toEqual([...average.state().get('fc/kernel')!.values]);
    expect(snapshot(model)).toEqual(own);
    await expect(average.apply(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(snapshot(model)).toEqual(own);
    expect(tf.memory().numTensors).toBe(numTensors);
    model.dispose();
  });

  it('goes on from its state to the same bits', () => {
    const run = (interruptAfter: number) => {
      const model = makeModel();
      let average = new MovingAverage(model, { decay: 0.9, warmup: true });
      for (let step = 1; step <= 4; step++) {
        move(model, step);
        average.update();
        if (step !== interruptAfter) continue;
        const state = average.state();
        const own = snapshot(model);
        average.dispose();
        average = new MovingAverage(model, { decay: 0.9, warmup: true });
        average.loadState(state, step);
        expect(snapshot(model)).toEqual(own);
      }
      const result = average.state();
      model.dispose();
      return result;
    };
    expect(run(2)).toEqual(run(0));
  });

  it('refuses options and foreign weights', () => {
    const model = makeModel();
    expect(() => new MovingAverage(model, { decay: 1, warmup: true })).toThrow(/E_RANGE: decay: expected a number in/);
    const average = new MovingAverage(model, { decay: 0.9, warmup: true });
    const own = snapshot(model);
    const state = average.state();
    expect(() => average.loadState(state, -1)).toThrow(/E_RANGE: updates/);
    state.delete('fc/kernel');
    expect(() => average.loadState(state, 1)).toThrow(/E_FORMAT: weights: expected fc\/kernel/);
    expect(snapshot(model)).toEqual(own);
    expect(average.updates).toBe(0);
    model.dispose();
  });
});
