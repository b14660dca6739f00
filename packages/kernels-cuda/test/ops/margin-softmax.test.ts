import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { HyperArcError, MarginRule } from '../../dist/index.js';
import { marginSoftmax, marginSoftmaxPath } from '../../dist/ops/index.js';
import type { TensorFlowBackend } from '../../dist/ops/tensorflow-kernel.js';
import {
  BACKENDS,
  hasTensorFlow,
  makeProblem,
  normal,
  type Problem,
  referenceOf,
  relativeError,
  rule,
} from './support.js';

let problem: Problem;
beforeEach(() => {
  problem = makeProblem();
});
afterEach(() => problem.centers.device.dispose());

const embeddingsOf = ({ embeddings, batch, dim }: Problem) => tf.tensor2d(embeddings, [batch, dim]);

/** Every output and the gradient of 3·loss, as arrays. */
function outputs({ centers, labels }: Problem, x: tf.Tensor2D, options: object = {}) {
  let result!: ReturnType<typeof marginSoftmax>;
  const { value, grads } = tf.valueAndGrads((embeddings) => {
    result = marginSoftmax(centers, embeddings as tf.Tensor2D, labels, { margin: rule, ...options });
    tf.keep(result.lossPerSample);
    tf.keep(result.targetCosine);
    return tf.mul(result.loss, 3);
  })([x]);
  const arrays = {
    tripleLoss: value.dataSync<'float32'>()[0]!,
    lossPerSample: result.lossPerSample.dataSync<'float32'>().slice(),
    targetCosine: result.targetCosine.dataSync<'float32'>().slice(),
    tripleGradient: grads[0]!.dataSync<'float32'>().slice(),
    step: result.step,
  };
  tf.dispose([value, grads, result.lossPerSample, result.targetCosine]);
  return arrays;
}

const branches = {
  above: { value: [0.1, 0.9, 0.5], slope: [0.9, 1] },
  below: { value: [0, 1, 0.2], slope: [1, 0.4] },
} as const;

/** Each sample's own (s, m1, m2, m3) [B, 4]. */
function rowParametersOf({ batch }: Problem): tf.Tensor2D {
  const values = Array.from({ length: batch }, (_, i) => [8 + i, 1 + 0.02 * i, 0.05 * i, 0.3 - 0.04 * i]);
  return tf.tensor2d(values, [batch, 4]);
}

function tripleLoss({ centers, labels }: Problem, margin: MarginRule, x: tf.Tensor2D, rowParameters: tf.Tensor2D) {
  const { loss, step } = marginSoftmax(centers, x, labels, { margin, rowParameters });
  step.dispose();
  return tf.mul(loss, 3) as tf.Scalar;
}

/** Gradients of 3·loss by embeddings [B, D] and row parameters [B, 4]. */
function gradientsOf(of: Problem, margin: MarginRule, x: tf.Tensor2D, rowParameters: tf.Tensor2D) {
  const gradients = tf.grads((e, r) => tripleLoss(of, margin, e as tf.Tensor2D, r as tf.Tensor2D))([x, rowParameters]);
  const [embeddings, rows] = gradients.map((gradient) => gradient.dataSync<'float32'>().slice());
  tf.dispose(gradients);
  return { embeddings: embeddings!, rows: rows! };
}

describe.each(BACKENDS)('marginSoftmax on %s', (backend) => {
  beforeEach(async () => {
    await tf.setBackend(backend);
  });

  it('takes the path it should', () => {
    expect(marginSoftmaxPath()).toBe(backend === 'tensorflow' ? 'tensorflow-op' : 'staged');
  });

  it('equals the float64 reference, with a gradient that scales with what comes back', () => {
    const expected = referenceOf(problem);
    const x = embeddingsOf(problem);
    const actual = outputs(problem, x);
    expect(actual.tripleLoss / (3 * expected.loss)).toBeCloseTo(1, 5);
    expect(relativeError(actual.lossPerSample, expected.sampleLoss)).toBeLessThan(1e-5);
    expect(relativeError(actual.targetCosine, expected.targetCosine)).toBeLessThan(1e-5);
    const tripled = expected.embeddingGradient.map((value) => 3 * value);
    expect(relativeError(actual.tripleGradient, tripled)).toBeLessThan(1e-5);
    actual.step.dispose();
    x.dispose();
  });

  it('takes per-sample parameters and sampled classes', () => {
    const { batch, labels } = problem;
    const rowParameters = Float32Array.from({ length: 4 * batch }, (_, i) => [20 + i, 1, 0.1 * (i % 5), 0.2][i % 4]!);
    const sampled = Int32Array.from([...new Set([...labels, 3, 4, 30])].sort((a, b) => a - b));
    const expected = referenceOf(problem, { rowParameters }, sampled);
    const x = embeddingsOf(problem);
    const actual = outputs(problem, x, { rowParameters, sampled });
    expect(relativeError(actual.lossPerSample, expected.sampleLoss)).toBeLessThan(1e-5);
    const asTensors = {
      rowParameters: tf.tensor2d(rowParameters, [batch, 4]),
      sampled: tf.tensor1d(sampled, 'int32'),
    };
    expect(outputs(problem, x, asTensors).tripleGradient).toEqual(actual.tripleGradient);
    tf.dispose([x, asTensors]);
  });

  it('takes the margin modes to the engine', () => {
    const x = embeddingsOf(problem);
    for (const margin of [
      { ...rule, fallback: 'easy' },
      { ...rule, fallback: 'none', m3: 0.1 },
      { ...rule, fallback: 'clip', gradient: 'straight-through' },
    ] as const) {
      const expected = referenceOf(problem, { rule: margin });
      const actual = outputs(problem, x, { margin });
      expect(relativeError(actual.lossPerSample, expected.sampleLoss)).toBeLessThan(1e-5);
      const tripled = expected.embeddingGradient.map((value) => 3 * value);
      expect(relativeError(actual.tripleGradient, tripled)).toBeLessThan(1e-5);
      actual.step.dispose();
    }
    x.dispose();
  });

  it.each<[string, MarginRule]>([
    ['sphere', { ...rule, family: 'sphere', m1: 3, m2: 0, fallback: 'none', blend: 0.6 }],
    ['quadratic', { ...rule, family: 'quadratic', m1: 0.2, m2: 0.3, m3: -0.9, fallback: 'none' }],
    ['circle', { ...rule, family: 'circle', m2: 0.25, fallback: 'none' }],
    ['clip, an angle of its own', { ...rule, m1: 1.5, fallback: 'clip', clipRadians: 0.09 }],
    ['negatives, a fixed threshold', { ...rule, scale: 12, negatives: { threshold: 0.05, ...branches } }],
    ['negatives, the target as threshold', { ...rule, scale: 12, negatives: { threshold: 'target', ...branches } }],
  ])('takes every field of the rule to the engine: %s', (_, margin) => {
    const expected = referenceOf(problem, { rule: margin });
    const x = embeddingsOf(problem);
    const actual = outputs(problem, x, { margin });
    expect(relativeError(actual.lossPerSample, expected.sampleLoss)).toBeLessThan(1e-5);
    const tripled = expected.embeddingGradient.map((value) => 3 * value);
    expect(relativeError(actual.tripleGradient, tripled)).toBeLessThan(1e-5);
    // Else the case would show nothing.
    expect(relativeError(actual.lossPerSample, referenceOf(problem).sampleLoss)).toBeGreaterThan(1e-2);
    actual.step.dispose();
    x.dispose();
  });

  it('is differentiable with respect to the row parameters, alone and with the embeddings', () => {
    const x = embeddingsOf(problem);
    const margin = { ...rule, fallback: 'none' } as const;
    const rows = rowParametersOf(problem);
    const expected = referenceOf(problem, { rule: margin, rowParameters: rows.dataSync<'float32'>() });
    const both = gradientsOf(problem, margin, x, rows);
    const tripled = (values: Float64Array) => values.map((value) => 3 * value);
    expect(relativeError(both.rows, tripled(expected.rowGradient))).toBeLessThan(1e-5);
    expect(relativeError(both.embeddings, tripled(expected.embeddingGradient))).toBeLessThan(1e-5);
    const alone = tf.grad((r) => tripleLoss(problem, margin, x, r as tf.Tensor2D))(rows);
    expect(alone.dataSync()).toEqual(both.rows);
    tf.dispose([x, rows, alone]);
  });

  it('has a gradient that finite differences of the loss confirm, along what made the row parameters', () => {
    const x = embeddingsOf(problem);
    const { batch } = problem;
    const margin = { ...rule, fallback: 'none' } as const;
    // Each sample's own margins, from one number a sample, as a head that follows the embedding's norm makes them.
    const quality = tf.tensor1d(normal(batch, 8));
    const rowsOf = (q: tf.Tensor1D) =>
      tf.stack([tf.fill([batch], 8), tf.add(1.1, tf.mul(q, 0.05)), tf.add(0.3, tf.mul(q, 0.1)), tf.mul(q, 0.02)], 1);
    const lossOf = (q: tf.Tensor1D) => tripleLoss(problem, margin, x, rowsOf(q) as tf.Tensor2D);
    const gradient = tf
      .grad((q) => lossOf(q as tf.Tensor1D))(quality)
      .dataSync<'float32'>();
    for (let i = 0; i < batch; i += 1) {
      const at = (change: number) =>
        tf.tidy(() => lossOf(tf.add(quality, tf.mul(tf.oneHot(i, batch), change))).dataSync<'float32'>()[0]!);
      const numeric = (at(0.05) - at(-0.05)) / 0.1;
      expect(Math.abs(gradient[i]! - numeric), `sample ${i}`).toBeLessThan(5e-3 * Math.abs(numeric) + 1e-4);
    }
    expect(gradient.some((value) => Math.abs(value) > 0.01)).toBe(true);
    tf.dispose([x, quality]);
  });

  it('has no gradient for the scale with a negative rule, and those of the margins all the same', () => {
    const x = embeddingsOf(problem);
    const rows = rowParametersOf(problem);
    const margin = { ...rule, fallback: 'none', negatives: { threshold: 'target', ...branches } } as const;
    const expected = referenceOf(problem, { rule: margin, rowParameters: rows.dataSync<'float32'>() }).rowGradient;
    const actual = gradientsOf(problem, margin, x, rows).rows;
    expect([...actual].every((value, i) => Number.isNaN(value) === (i % 4 === 0))).toBe(true);
    const margins = (values: ArrayLike<number>) => Array.from(values).filter((_, i) => i % 4 !== 0);
    const tripled = margins(expected).map((value) => 3 * value);
    expect(relativeError(margins(actual), tripled)).toBeLessThan(1e-5);
    tf.dispose([x, rows]);
  });

  it('refuses a gradient of what has none, in place of 0', () => {
    const { centers, labels } = problem;
    const through = (name: 'lossPerSample' | 'targetCosine') => (x: tf.Tensor) => {
      const { [name]: values, step } = marginSoftmax(centers, x, labels, { margin: rule });
      step.dispose();
      return tf.sum(values);
    };
    const x = embeddingsOf(problem);
    for (const name of ['lossPerSample', 'targetCosine'] as const) {
      const message = `E_RANGE: ${name}: expected no gradient to come back to it`;
      const differentiate = () => tf.tidy(() => tf.grad(through(name))(x));
      expect(differentiate).toThrow(
        expect.objectContaining({ code: 'E_RANGE', message: expect.stringContaining(message) }),
      );
    }
    x.dispose();
  });

  it('back-propagates through what made the embeddings', () => {
    const { centers, labels, batch, dim } = problem;
    const features = tf.tensor2d(normal(batch * 5, 3), [batch, 5]);
    const kernel = tf.tensor2d(normal(5 * dim, 4), [5, dim]);
    const lossOf = (w: tf.Tensor2D) => {
      const { loss, step } = marginSoftmax(centers, tf.matMul(features, w), labels, { margin: rule });
      step.dispose();
      return loss;
    };
    const gradient = tf
      .grad((w) => lossOf(w as tf.Tensor2D))(kernel)
      .dataSync<'float32'>();
    const direction = normal(5 * dim, 5);
    const along = (t: number) =>
      tf.tidy(() => lossOf(tf.add(kernel, tf.mul(tf.tensor2d(direction, [5, dim]), t)) as tf.Tensor2D).dataSync()[0]!);
    const numeric = (along(1e-3) - along(-1e-3)) / 2e-3;
    const analytic = gradient.reduce((sum, value, i) => sum + value * direction[i]!, 0);
    expect(Math.abs(analytic / numeric - 1)).toBeLessThan(0.01);
    tf.dispose([features, kernel]);
  });

  it('never moves the weights, and leaves a step that update takes', () => {
    const { centers, classes } = problem;
    const before = centers.readRows(0, classes);
    const x = embeddingsOf(problem);
    const { step } = outputs(problem, x);
    expect(centers.readRows(0, classes)).toEqual(before);
    expect(step.batch).toBe(problem.batch);
    centers.update(step, { learningRate: 0.1 });
    expect(centers.readRows(0, classes)).not.toEqual(before);
    step.dispose();
    x.dispose();
  });

  it('leaves a step whose seams can be read', () => {
    const { centers } = problem;
    const x = embeddingsOf(problem);
    const { step, tripleGradient, lossPerSample } = outputs(problem, x);
    const gradient = centers.getSeam(step, 'embeddingGradient');
    expect(tripleGradient).toEqual(gradient.map((value) => Math.fround(3 * value)));
    expect(centers.getSeam(step, 'rowGradient')).toHaveLength(4 * lossPerSample.length);
    step.dispose();
    x.dispose();
  });

  it('uses a given step again, and leaks no tensor', () => {
    const x = embeddingsOf(problem);
    const { step } = outputs(problem, x);
    const [tensors, stepBytes] = [tf.memory().numTensors, step.bytes];
    for (let i = 0; i < 3; ++i) expect(outputs(problem, x, { step }).step).toBe(step);
    tf.tidy(() => {
      marginSoftmax(problem.centers, x, problem.labels, { margin: rule, step });
    });
    expect(tf.memory().numTensors).toBe(tensors);
    expect(step.bytes).toBe(stepBytes);
    step.dispose();
    x.dispose();
  });

  it.each([
    ['a label out of range', 'E_RANGE: labels[3]: expected', (p: Problem) => void (p.labels[3] = p.classes)],
    ['a negative label', 'E_RANGE: labels[0]: expected', (p: Problem) => void (p.labels[0] = -1)],
    ['a NaN embedding', 'E_NONFINITE: embeddings: expected', (p: Problem) => void (p.embeddings[5] = NaN)],
    ['disposed centres', 'E_DISPOSED: ', (p: Problem) => p.centers.dispose()],
  ])('answers %s with %s and no leak', (_, message, spoil) => {
    spoil(problem);
    const x = embeddingsOf(problem);
    const before = tf.memory().numTensors;
    expect(() => marginSoftmax(problem.centers, x, problem.labels, { margin: rule })).toThrow(
      expect.objectContaining({
        name: 'HyperArcError',
        code: message.split(':')[0],
        message: expect.stringContaining(message),
      }),
    );
    expect(tf.memory().numTensors).toBe(before);
    x.dispose();
  });

  it('answers sampled classes without a positive with E_RANGE', () => {
    const x = embeddingsOf(problem);
    const sampled = new Int32Array([1]);
    expect(() => marginSoftmax(problem.centers, x, problem.labels, { margin: rule, sampled })).toThrow(/^E_RANGE: /);
    x.dispose();
  });

  it('checks shapes and types before anything else', () => {
    const { centers, labels, batch, dim } = problem;
    const x = embeddingsOf(problem);
    const run = (embeddings: tf.Tensor, labelsB: unknown, options = {}) =>
      marginSoftmax(centers, embeddings as tf.Tensor2D, labelsB as Int32Array, { margin: rule, ...options });
    expect(() => run(tf.zeros([batch, dim + 1]), labels)).toThrow(`E_SHAPE: embeddings: expected shape [B, ${dim}]`);
    expect(() => run(tf.zeros([0, dim]), labels)).toThrow('E_SHAPE: embeddings');
    expect(() => run(tf.zeros([batch, dim], 'int32'), labels)).toThrow('E_DTYPE: embeddings');
    expect(() => run(undefined as never, labels)).toThrow('E_DTYPE: embeddings: expected a tensor of float32');
    expect(() => run(x, [...labels])).toThrow('E_DTYPE: labels: expected a tensor of int32, received an array');
    expect(() => run(x, undefined)).toThrow('E_DTYPE: labels');
    expect(() => run(x, labels.subarray(1))).toThrow(`E_SHAPE: labels: expected shape [${batch}]`);
    expect(() => run(x, tf.zeros([batch]))).toThrow('E_DTYPE: labels');
    expect(() => run(x, labels, { rowParameters: new Float32Array(4) })).toThrow('E_SHAPE: rowParameters');
    expect(() => run(x, labels, { margin: { ...rule, scale: 0 } })).toThrow('E_RANGE: margin.scale');
    x.dispose();
  });
});

describe.runIf(hasTensorFlow)('the TensorFlow op', () => {
  it.each<[string, MarginRule]>([
    ['ArcFace', rule],
    ['sphere with a blend', { ...rule, family: 'sphere', m1: 1.7, m2: 0, fallback: 'none', blend: 0.3 }],
    ['negatives', { ...rule, fallback: 'none', negatives: { threshold: 'target', ...branches } }],
  ])('gives the same bits as the staged kernel: %s', async (_, margin) => {
    const onBackend = async (backend: string) => {
      await tf.setBackend(backend);
      const x = embeddingsOf(problem);
      // The sphere has no m2.
      const rows = tf.mul(rowParametersOf(problem), margin.family === 'sphere' ? [1, 1, 0, 1] : 1) as tf.Tensor2D;
      const { step, ...arrays } = outputs(problem, x, { margin });
      step.dispose();
      const result = { ...arrays, ...gradientsOf(problem, margin, x, rows) };
      tf.dispose([x, rows]);
      return result;
    };
    expect(await onBackend('tensorflow')).toEqual(await onBackend('cpu'));
  });

  it('short of memory: gives the plan, though TensorFlow passes on text alone', async () => {
    await tf.setBackend('tensorflow');
    const { centers, labels, batch, dim, classes } = problem;
    const x = embeddingsOf(problem);
    const sampled = Int32Array.from([...new Set([...labels, 3, 4])].sort((a, b) => a - b));
    vi.spyOn(tf.backend() as unknown as TensorFlowBackend, 'executeMultipleOutputs').mockImplementation(() => {
      throw new Error(
        'Invalid TF_Status: 3\nMessage: E_MEMORY: forward: expected memory, received none; fewer\n\t [[x]]',
      );
    });
    try {
      marginSoftmax(centers, x, labels, { margin: rule, sampled });
      expect.fail('expected E_MEMORY');
    } catch (error) {
      const { code, message, plan } = error as HyperArcError;
      expect({ code, message }).toEqual({
        code: 'E_MEMORY',
        message: 'E_MEMORY: forward: expected memory, received none; fewer',
      });
      const rate = sampled.length / classes;
      expect(plan!.parts).toEqual(centers.device.plan({ classes, dim, batch, rate }).parts);
    } finally {
      vi.restoreAllMocks();
      x.dispose();
    }
  });
});
