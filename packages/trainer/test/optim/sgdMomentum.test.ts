import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { GradientSum, globalNorm, SgdMomentum } from '../../dist/optim/index.js';
import { backends, relativeError, useBackend, values } from '../layers/backends.js';

/** Two matrices, a depthwise-like kernel, and three vectors of which one is a single number. */
const shapes: Record<string, number[]> = {
  fc: [7, 5],
  conv: [3, 3, 2, 1],
  gamma: [4],
  bias: [1],
  slope: [9],
  map: [2, 2],
};

function makeVariables(): Record<string, tf.Variable> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, tf.variable(tf.tensor(values(size, i + 1), shape))];
    }),
  );
}

const gradientValues = (variable: tf.Variable, step: number, index: number) =>
  values(variable.size, 100 * step + index).map((v) => 3 * v);

function gradients(variables: Record<string, tf.Variable>, step: number): tf.NamedTensorMap {
  return Object.fromEntries(
    Object.values(variables).map((v, i) => [v.name, tf.tensor(gradientValues(v, step, i), v.shape)]),
  );
}

interface Rule {
  momentum: number;
  weightDecay: number;
  decayNormAndBias: boolean;
  clipNorm?: number;
}

/** PyTorch's clip_grad_norm_ and SGD in float64, on plain arrays. */
class PlainSgd {
  private readonly velocities: Float64Array[];
  constructor(
    readonly weights: Float64Array[],
    private readonly ranks: number[],
    private readonly rule: Rule,
  ) {
    this.velocities = weights.map((w) => new Float64Array(w.length));
  }

  step(grads: ArrayLike<number>[], learningRate: number): number {
    const { momentum, weightDecay, decayNormAndBias, clipNorm = Infinity } = this.rule;
    let squares = 0;
    for (const g of grads) for (let i = 0; i < g.length; i++) squares += g[i]! ** 2;
    const norm = Math.sqrt(squares);
    const scale = Math.min(1, clipNorm / (norm + 1e-6));
    this.weights.forEach((w, k) => {
      const lambda = this.ranks[k]! > 1 || decayNormAndBias ? weightDecay : 0;
      const v = this.velocities[k]!;
      for (let i = 0; i < w.length; i++) {
        v[i] = momentum * v[i]! + scale * grads[k]![i]! + lambda * w[i]!;
        w[i]! -= learningRate * v[i]!;
      }
    });
    return norm;
  }
}

const rules: Rule[] = [
  { momentum: 0.9, weightDecay: 0.05, decayNormAndBias: true },
  { momentum: 0.9, weightDecay: 0.05, decayNormAndBias: false, clipNorm: 2 },
  { momentum: 0.9, weightDecay: 0, decayNormAndBias: true, clipNorm: 1e6 },
  { momentum: 0, weightDecay: 0.05, decayNormAndBias: false },
];

describe.each(backends)('SgdMomentum on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it.each(rules)('equals a plain float64 SGD: %j', (rule) => {
    const variables = makeVariables();
    const list = Object.values(variables);
    const plain = new PlainSgd(
      list.map((v) => Float64Array.from(v.dataSync())),
      list.map((v) => v.rank),
      rule,
    );
    const optimizer = new SgdMomentum(rule);
    for (let step = 1; step <= 5; step++) {
      // The rate changes, which tells PyTorch's form from one with the rate inside the velocity.
      const learningRate = 0.1 / step;
      const grads = gradients(variables, step);
      const { gradNorm } = optimizer.apply(grads, learningRate, { clipNorm: rule.clipNorm });
      const expected = plain.step(
        list.map((v, i) => gradientValues(v, step, i)),
        learningRate,
      );
      expect(Math.abs(gradNorm / expected - 1)).toBeLessThan(1e-5);
      tf.dispose(grads);
    }
    list.forEach((v, i) => expect(relativeError(v.dataSync(), plain.weights[i]!), v.name).toBeLessThan(1e-6));
  });

  it('resumes exactly, also in an optimizer that has not stepped yet', () => {
    const rule = { momentum: 0.9, weightDecay: 0.01, decayNormAndBias: true };
    const run = (interruptAfter: number) => {
      const variables = makeVariables();
      const weights = Object.entries(variables).map(([originalName, { name }]) => ({ originalName, name })) as never;
      let optimizer = new SgdMomentum({ ...rule, weights });
      for (let step = 1; step <= 6; step++) {
        optimizer.apply(gradients(variables, step), 0.1, { clipNorm: 5 });
        if (step !== interruptAfter) continue;
        const state = optimizer.state();
        expect(Object.keys(state).sort()).toEqual(Object.keys(shapes).sort());
        optimizer.dispose();
        optimizer = new SgdMomentum({ ...rule, weights });
        optimizer.loadState(state);
        tf.dispose(state);
      }
      return Object.values(variables).map((v) => [...v.dataSync()]);
    };
    const whole = run(0);
    expect(run(3)).toEqual(whole);
  });

  it('steps on a sum of micro-batches as on the large batch', () => {
    const x = tf.tensor2d(values(12 * 3, 1), [12, 3]);
    const loss = (w: tf.Variable, batch: tf.Tensor) =>
      tf.mean(tf.square(tf.matMul(batch as tf.Tensor2D, w as tf.Tensor2D)));
    const make = () => tf.variable(tf.tensor2d(values(6, 2), [3, 2]));
    const [large, small] = [make(), make()];
    const options = { momentum: 0.9, weightDecay: 0.1, decayNormAndBias: true };
    const [a, b] = [new SgdMomentum(options), new SgdMomentum(options)];
    const sum = new GradientSum();
    for (let step = 0; step < 3; step++) {
      a.apply(tf.variableGrads(() => loss(large, x) as tf.Scalar, [large]).grads, 0.2, { clipNorm: 0.5 });
      for (const [start, count] of [
        [0, 5],
        [5, 7],
      ] as const) {
        const { grads } = tf.variableGrads(() => loss(small, tf.slice(x, start, count)) as tf.Scalar, [small]);
        sum.add(grads, count / 12);
      }
      const total = sum.take();
      b.apply(total, 0.2, { clipNorm: 0.5 });
      tf.dispose(total);
    }
    expect(relativeError(small.dataSync(), large.dataSync())).toBeLessThan(1e-6);
  });

  it('leaves no tensor behind, and keeps the caller’s gradients', () => {
    const variables = makeVariables();
    const optimizer = new SgdMomentum({ momentum: 0.9, weightDecay: 0, decayNormAndBias: false });
    const grads = gradients(variables, 1);
    const start = tf.memory().numTensors;
    for (let step = 0; step < 3; step++) optimizer.apply(grads, 0.1);
    // A velocity for each of the matrices, and one for all vectors.
    expect(tf.memory().numTensors - start).toBe(4);
    tf.dispose(optimizer.state());
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(start);
    expect([...grads[variables.fc!.name]!.dataSync()]).toEqual([...gradientValues(variables.fc!, 1, 0)]);
  });

  it('names what is not finite, and changes nothing', () => {
    const variables = makeVariables();
    const optimizer = new SgdMomentum({ momentum: 0.9, weightDecay: 0.1, decayNormAndBias: true });
    optimizer.apply(gradients(variables, 1), 0.1);
    const snapshot = () =>
      [...Object.values(variables), ...Object.values(optimizer.state())].map((t) => [...t.dataSync()]);
    const before = snapshot();
    for (const bad of [NaN, Infinity]) {
      const grads = gradients(variables, 2);
      grads[variables.gamma!.name] = tf.tensor1d([1, bad, 0, 0]);
      expect(() => optimizer.apply(grads, 0.1)).toThrow(
        `E_NONFINITE: grads: expected finite gradients, received NaN or Infinity in ${variables.gamma!.name}`,
      );
    }
    const huge = gradients(variables, 2);
    huge[variables.gamma!.name] = tf.fill([4], 1e30);
    expect(() => optimizer.apply(huge, 0.1)).toThrow(/E_NONFINITE: .*too large for fp32/);
    expect(snapshot()).toEqual(before);
  });
});

describe('SgdMomentum', () => {
  const options = { momentum: 0.9, weightDecay: 0.1, decayNormAndBias: true };
  beforeAll(async () => {
    await useBackend(backends[backends.length - 1]!);
  });

  it.each([
    [{ momentum: 1 }, /E_RANGE: momentum: expected a number in \[0, 1\), received 1/],
    [{ momentum: NaN }, /E_RANGE: momentum/],
    [{ weightDecay: -1 }, /E_RANGE: weightDecay/],
    [{ weightDecay: Infinity }, /E_RANGE: weightDecay/],
  ])('refuses the option %j', (bad, message) => {
    expect(() => new SgdMomentum({ ...options, ...bad })).toThrow(message);
  });

  it('refuses bad steps and foreign state, changing nothing', () => {
    const variables = makeVariables();
    const grads = gradients(variables, 1);
    const optimizer = new SgdMomentum(options);
    const before = [...variables.fc!.dataSync()];
    expect(() => optimizer.apply(grads, NaN)).toThrow(/E_RANGE: learningRate/);
    expect(() => optimizer.apply(grads, 0.1, { clipNorm: 0 })).toThrow(/E_RANGE: clipNorm/);
    expect(() => optimizer.apply({}, 0.1)).toThrow(/E_RANGE: grads/);
    expect(() => optimizer.apply({ nobody: tf.scalar(1) }, 0.1)).toThrow(/received 'nobody'/);
    expect(() => optimizer.apply({ ...grads, [variables.fc!.name]: tf.ones([5, 7]) }, 0.1)).toThrow(/E_SHAPE/);
    optimizer.loadState({ nobody: tf.scalar(1) });
    expect(() => optimizer.apply(grads, 0.1)).toThrow(/E_FORMAT: state: .*'nobody'/);
    optimizer.loadState({ [variables.fc!.name]: tf.ones([5, 7]) });
    expect(() => optimizer.apply(grads, 0.1)).toThrow(/E_SHAPE: state/);
    expect([...variables.fc!.dataSync()]).toEqual(before);
    optimizer.loadState({});
    optimizer.apply(grads, 0.1);
    expect(() => optimizer.loadState({ nobody: tf.scalar(1) })).toThrow(/E_FORMAT/);
    const { [variables.fc!.name]: _, ...fewer } = grads;
    expect(() => optimizer.apply(fewer, 0.1)).toThrow(/E_RANGE: grads: expected the variables of the first step/);
  });
});

describe('globalNorm', () => {
  it('joins all tensors', () => {
    expect(globalNorm([tf.tensor1d([3]), tf.tensor2d([[0, 4]])])).toBeCloseTo(5, 6);
  });
});

describe('GradientSum', () => {
  it('refuses other names and an empty sum', () => {
    const sum = new GradientSum();
    expect(() => sum.take()).toThrow(/E_RANGE: GradientSum/);
    sum.add({ a: tf.scalar(1) });
    expect(() => sum.add({ b: tf.scalar(1) })).toThrow(/E_RANGE: grads/);
    sum.add({ a: tf.scalar(2) }, 0.5);
    expect(sum.take()['a']!.dataSync()[0]).toBe(2);
    sum.dispose();
  });
});
