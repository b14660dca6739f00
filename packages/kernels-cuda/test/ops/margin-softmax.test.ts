import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { marginSoftmax, marginSoftmaxPath } from '../../dist/ops/index.js';
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
    ['a label out of range', 'E_RANGE', (p: Problem) => void (p.labels[3] = p.classes)],
    ['a negative label', 'E_RANGE', (p: Problem) => void (p.labels[0] = -1)],
    ['a NaN embedding', 'E_NONFINITE', (p: Problem) => void (p.embeddings[5] = NaN)],
    ['disposed centres', 'E_DISPOSED', (p: Problem) => p.centers.dispose()],
  ])('answers %s with %s and no leak', (_, code, spoil) => {
    spoil(problem);
    const x = embeddingsOf(problem);
    const before = tf.memory().numTensors;
    expect(() => marginSoftmax(problem.centers, x, problem.labels, { margin: rule })).toThrow(
      expect.objectContaining({ name: 'HyperArcError', code }),
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
  it('gives the same bits as the staged kernel', async () => {
    await tf.setBackend('tensorflow');
    const x = embeddingsOf(problem);
    const onTensorFlow = outputs(problem, x);
    x.dispose();
    await tf.setBackend('cpu');
    const onCpu = embeddingsOf(problem);
    const staged = outputs(problem, onCpu);
    expect(onTensorFlow.tripleGradient).toEqual(staged.tripleGradient);
    expect(onTensorFlow.lossPerSample).toEqual(staged.lossPerSample);
    expect(onTensorFlow.targetCosine).toEqual(staged.targetCosine);
    expect(onTensorFlow.tripleLoss).toBe(staged.tripleLoss);
    onCpu.dispose();
  });
});
