import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { SgdMomentum } from '../../dist/optim/index.js';
import { trainStep, type StepHead, type StepParts } from '../../dist/train/step.js';

const SIZE = 2;
const DIM = 3;
const rates = { learningRate: 0.1, headLearningRate: 0.5 };

/** A head whose loss is mean(‖x − label‖²)/2, and that records what it is asked. */
class FakeHead implements StepHead {
  readonly calls: string[] = [];
  targetCosine = new Float32Array(0);

  loss(embeddings: tf.Tensor2D, labels: Int32Array): tf.Scalar {
    this.calls.push(`loss ${labels.length}`);
    this.targetCosine = Float32Array.from(labels, (label) => label / 10);
    const target = tf.reshape(tf.tensor1d(Float32Array.from(labels)), [-1, 1]);
    return tf.mul(tf.mean(tf.sum(tf.square(tf.sub(embeddings, target)), 1)), 0.5) as tf.Scalar;
  }

  update(options: { learningRate: number; momentum: number; weightDecay: number; roundingStep: number }): void {
    this.calls.push(`update ${JSON.stringify(options)}`);
  }
}

function makeParts(overrides: Partial<StepParts> = {}): StepParts & { head: FakeHead } {
  const backbone = tfl.sequential();
  backbone.add(tfl.layers.flatten({ inputShape: [SIZE, SIZE, 3] }));
  backbone.add(tfl.layers.dense({ units: DIM, kernelInitializer: 'ones' }));
  const weights = backbone.trainableWeights;
  return {
    backbone,
    variables: weights.map((weight) => (weight as unknown as { val: tf.Variable }).val),
    optimizer: new SgdMomentum({ momentum: 0.9, weightDecay: 0.01, decayNormAndBias: true, weights }),
    head: new FakeHead(),
    inputSize: SIZE,
    clipNorm: null,
    headNumbers: { momentum: 0.8, weightDecay: 0.02 },
    nameOf: (index) => `image-${index}`,
    ...overrides,
  } as StepParts & { head: FakeHead };
}

function batch(first: number, count: number) {
  const images = Float32Array.from({ length: count * SIZE * SIZE * 3 }, (_, i) => Math.sin(i + 31 * first));
  const indices = Int32Array.from({ length: count }, (_, i) => first + i);
  return { images, labels: indices.map((index) => index % 4), indices };
}

const weightsOf = (parts: StepParts): number[] =>
  parts.backbone.weights.flatMap((weight) => [...weight.read().dataSync()]);

beforeAll(async () => {
  tf.env().set('PROD', true);
  await tf.setBackend('cpu');
});

describe('trainStep', () => {
  it('moves the backbone, then the head, with the rates of each', () => {
    const parts = makeParts();
    const before = weightsOf(parts);
    const { loss, gradientNorm, targetCosine } = trainStep(parts, [batch(0, 4)], rates, 7);
    expect(weightsOf(parts)).not.toEqual(before);
    expect(loss).toBeGreaterThan(0);
    expect(gradientNorm).toBeGreaterThan(0);
    expect(targetCosine).toBeCloseTo(0.15, 6);
    const options = { learningRate: 0.5, momentum: 0.8, weightDecay: 0.02, roundingStep: 7 };
    expect(parts.head.calls).toEqual(['loss 4', `update ${JSON.stringify(options)}`]);
  });

  it('equals one large batch when the gradient is accumulated', () => {
    const whole = makeParts();
    const parts = makeParts();
    for (let step = 1; step <= 3; step++) {
      const first = 8 * step;
      const large = trainStep(whole, [batch(first, 8)], rates, step);
      const both = batch(first, 8);
      const halves = [0, 4].map((start) => ({
        images: both.images.slice(start * SIZE * SIZE * 3, (start + 4) * SIZE * SIZE * 3),
        labels: both.labels.slice(start, start + 4),
        indices: both.indices.slice(start, start + 4),
      }));
      const accumulated = trainStep(parts, halves, rates, step);
      expect(accumulated.loss).toBeCloseTo(large.loss, 5);
      expect(accumulated.gradientNorm).toBeCloseTo(large.gradientNorm, 5);
    }
    const expected = weightsOf(whole);
    weightsOf(parts).forEach((weight, i) => expect(weight).toBeCloseTo(expected[i]!, 5));
    expect(parts.head.calls.slice(0, 3)).toEqual(['loss 4', 'loss 4', expect.stringMatching(/^update/)]);
  });

  it('clips the gradient and reports its norm before that', () => {
    const free = makeParts();
    const clipped = makeParts({ clipNorm: 1e-3 });
    const norm = trainStep(free, [batch(0, 4)], rates, 1).gradientNorm;
    expect(trainStep(clipped, [batch(0, 4)], rates, 1).gradientNorm).toBeCloseTo(norm, 6);
    const [start, moved] = [weightsOf(makeParts()), weightsOf(clipped)];
    // Weight decay is added after clipping: η·(1e-3 + λ·|w|) bounds each step.
    moved.forEach((weight, i) => expect(Math.abs(weight - start[i]!)).toBeLessThan(0.1 * (1e-3 + 0.01 + 1e-6)));
  });

  it('names the image behind an embedding that is not finite, and changes nothing', () => {
    const parts = makeParts();
    const before = weightsOf(parts);
    const bad = batch(5, 4);
    bad.images[SIZE * SIZE * 3 + 1] = NaN;
    expect(() => trainStep(parts, [batch(0, 4), bad], rates, 17)).toThrow(
      /E_NONFINITE: step 17: expected finite embeddings, received NaN in row 1 \(image-6\); start a new run with a lower optimizer\.learningRate/,
    );
    expect(weightsOf(parts)).toEqual(before);
    expect(parts.head.calls).toEqual(['loss 4']);
  });

  it('names the loss or the variables when those are not finite, and changes nothing', () => {
    class BadHead extends FakeHead {
      constructor(private readonly factor: number) {
        super();
      }
      override loss(embeddings: tf.Tensor2D, labels: Int32Array): tf.Scalar {
        return tf.mul(super.loss(embeddings, labels), this.factor) as tf.Scalar;
      }
    }
    const infinite = makeParts({ head: new BadHead(Infinity) });
    expect(() => trainStep(infinite, [batch(0, 2)], rates, 3)).toThrow(
      'step 3: expected a finite loss, received Infinity from the batch image-0, image-1;',
    );
    /** Finite loss, gradient NaN. */
    class BadGradient extends FakeHead {
      override loss(embeddings: tf.Tensor2D, labels: Int32Array): tf.Scalar {
        const poison = tf.customGrad((x) => ({
          value: tf.clone(x as tf.Tensor),
          gradFunc: (dy: tf.Tensor) => tf.mul(dy, NaN),
        }));
        return super.loss(poison(embeddings) as tf.Tensor2D, labels);
      }
    }
    const parts = makeParts({ head: new BadGradient() });
    const before = weightsOf(parts);
    expect(() => trainStep(parts, [batch(0, 2)], rates, 4)).toThrow(/step 4: .*received NaN or Infinity in .*kernel/);
    expect(weightsOf(parts)).toEqual(before);
    expect(parts.head.calls).toEqual(['loss 2']);
  });

  it('keeps no tensor of a step', () => {
    const parts = makeParts();
    trainStep(parts, [batch(0, 4)], rates, 1);
    const { numTensors } = tf.memory();
    trainStep(parts, [batch(4, 4), batch(8, 4)], rates, 2);
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});
