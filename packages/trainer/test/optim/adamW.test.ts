import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { AdamW, SgdMomentum } from '../../dist/optim/index.js';
import { backends, useBackend, values } from '../layers/backends.js';

const shapes: Record<string, number[]> = { fc: [7, 5], conv: [3, 3, 2, 1], gamma: [4], bias: [1], slope: [9] };

function makeVariables(): Record<string, tf.Variable> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => [
      name,
      tf.variable(
        tf.tensor(
          values(
            shape.reduce((a, b) => a * b, 1),
            i + 1,
          ),
          shape,
        ),
      ),
    ]),
  );
}

const gradientValues = (size: number, step: number, index: number): Float32Array =>
  values(size, 100 * step + index).map((v) => v * 10 ** (index - 2));

function gradients(variables: Record<string, tf.Variable>, step: number): tf.NamedTensorMap {
  return Object.fromEntries(
    Object.values(variables).map((v, i) => [v.name, tf.tensor(gradientValues(v.size, step, i), v.shape)]),
  );
}

interface Rule {
  betas: readonly [number, number];
  epsilon: number;
  weightDecay: number;
  decayNormAndBias: boolean;
}

/** Loshchilov and Hutter 2019, algorithm 2, in float64 on plain arrays. */
class PlainAdamW {
  private readonly first: Float64Array[];
  private readonly second: Float64Array[];
  private t = 0;
  constructor(
    readonly weights: Float64Array[],
    private readonly ranks: number[],
    private readonly rule: Rule,
  ) {
    this.first = weights.map((w) => new Float64Array(w.length));
    this.second = weights.map((w) => new Float64Array(w.length));
  }

  step(grads: ArrayLike<number>[], learningRate: number): void {
    const { betas, epsilon, weightDecay, decayNormAndBias } = this.rule;
    const [beta1, beta2] = betas;
    this.t += 1;
    this.weights.forEach((w, k) => {
      const lambda = this.ranks[k]! > 1 || decayNormAndBias ? weightDecay : 0;
      const [m, v, g] = [this.first[k]!, this.second[k]!, grads[k]!];
      for (let i = 0; i < w.length; i++) {
        m[i] = beta1 * m[i]! + (1 - beta1) * g[i]!;
        v[i] = beta2 * v[i]! + (1 - beta2) * g[i]! ** 2;
        const [mHat, vHat] = [m[i]! / (1 - beta1 ** this.t), v[i]! / (1 - beta2 ** this.t)];
        w[i] = w[i]! - learningRate * (mHat / (Math.sqrt(vHat) + epsilon) + lambda * w[i]!);
      }
    });
  }
}

const rules: Rule[] = [
  { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0.1, decayNormAndBias: true },
  { betas: [0.5, 0.9], epsilon: 1e-3, weightDecay: 0.2, decayNormAndBias: false },
  { betas: [0, 0.99], epsilon: 1e-8, weightDecay: 0, decayNormAndBias: true },
];
const options = rules[0]!;

describe.each(backends)('AdamW on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it.each(rules)('equals a plain float64 AdamW at every step: %j', (rule) => {
    const variables = makeVariables();
    const list = Object.values(variables);
    const plain = new PlainAdamW(
      list.map((v) => Float64Array.from(v.dataSync())),
      list.map((v) => v.rank),
      rule,
    );
    const optimizer = new AdamW(rule);
    for (let step = 1; step <= 8; step++) {
      const learningRate = 0.05 / step;
      const grads = gradients(variables, step);
      optimizer.apply(grads, learningRate);
      tf.dispose(grads);
      plain.step(
        list.map((v, i) => gradientValues(v.size, step, i)),
        learningRate,
      );
      list.forEach((variable, k) => {
        variable.dataSync().forEach((w, i) => {
          // Weights are below 2, and an update is as exact as the roundings of its eight operations.
          expect(Math.abs(w - plain.weights[k]![i]!), `${variable.name}[${i}], step ${step}`).toBeLessThan(step * 2e-7);
        });
      });
    }
  });

  it('resumes exactly, moments and counter, also in an optimizer that has not stepped yet', () => {
    const run = (interruptAfter: number) => {
      const variables = makeVariables();
      const weights = Object.entries(variables).map(([originalName, { name }]) => ({ originalName, name })) as never;
      let optimizer = new AdamW({ ...options, weights });
      for (let step = 1; step <= 6; step++) {
        optimizer.apply(gradients(variables, step), 0.1, { clipNorm: 5 });
        if (step !== interruptAfter) continue;
        const state = optimizer.state();
        const names = Object.keys(shapes).flatMap((name) => [`${name}.exp_avg`, `${name}.exp_avg_sq`]);
        expect(Object.keys(state).sort()).toEqual([...names, 'step'].sort());
        expect([...state['step']!.dataSync()]).toEqual([3]);
        optimizer.dispose();
        optimizer = new AdamW({ ...options, weights });
        optimizer.loadState(state);
        const again = optimizer.state();
        expect([...again['fc.exp_avg']!.dataSync()]).toEqual([...state['fc.exp_avg']!.dataSync()]);
        tf.dispose([state, again]);
      }
      return Object.values(variables).map((v) => [...v.dataSync()]);
    };
    expect(run(3)).toEqual(run(0));
  });

  it('leaves no tensor behind', () => {
    const variables = makeVariables();
    const optimizer = new AdamW(options);
    const grads = gradients(variables, 1);
    const start = tf.memory().numTensors;
    for (let step = 0; step < 3; step++) optimizer.apply(grads, 0.1);
    // Two moments for each of the two matrices, and for all vectors.
    expect(tf.memory().numTensors - start).toBe(6);
    tf.dispose(optimizer.state());
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(start);
  });
});

describe('AdamW', () => {
  beforeAll(async () => {
    await useBackend('cpu');
  });

  it.each([
    [{ betas: [1, 0.9] }, /E_RANGE: betas: expected two numbers in \[0, 1\), received \[1, 0\.9\]/],
    [{ betas: [0.9] }, /E_RANGE: betas/],
    [{ epsilon: 0 }, /E_RANGE: epsilon: expected a finite number > 0, received 0/],
    [{ weightDecay: NaN }, /E_RANGE: weightDecay/],
  ])('refuses the option %j', (bad, message) => {
    expect(() => new AdamW({ ...options, ...bad })).toThrow(message);
  });

  it('refuses the state of another optimizer and one without its counter, changing nothing', () => {
    const variables = makeVariables();
    const grads = gradients(variables, 1);
    const sgd = new SgdMomentum({ momentum: 0.9, weightDecay: 0, decayNormAndBias: true });
    sgd.apply(grads, 0);
    const optimizer = new AdamW(options);
    optimizer.loadState(sgd.state());
    const before = Object.values(variables).map((v) => [...v.dataSync()]);
    expect(() => optimizer.apply(grads, 0.1)).toThrow(/E_FORMAT: state: expected names of trained variables/);
    expect(Object.values(variables).map((v) => [...v.dataSync()])).toEqual(before);
    optimizer.loadState({});
    optimizer.apply(grads, 0.1);
    const { step: _, ...withoutCounter } = optimizer.state();
    expect(() => optimizer.loadState(withoutCounter)).toThrow(/E_FORMAT: state: expected the number of updates/);
  });

  it('moves nothing on a gradient that is not finite', () => {
    const variables = makeVariables();
    const optimizer = new AdamW(options);
    optimizer.apply(gradients(variables, 1), 0.1);
    const snapshot = () =>
      [...Object.values(variables), ...Object.values(optimizer.state())].map((t) => [...t.dataSync()]);
    const before = snapshot();
    const grads = { ...gradients(variables, 2), [variables['gamma']!.name]: tf.tensor1d([1, NaN, 0, 0]) };
    expect(() => optimizer.apply(grads, 0.1)).toThrow(/E_NONFINITE: .*NaN or Infinity in/);
    expect(snapshot()).toEqual(before);
  });
});
