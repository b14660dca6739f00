import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfl from '@tensorflow/tfjs-layers';
import { marginByName } from '@hyperarc/heads';
import { PartialFC } from '@hyperarc/heads/engine';
import { beforeAll, describe, expect, it } from 'vitest';

import { AdamW, SgdMomentum } from '../../dist/optim/index.js';
import { trainStep, type StepParts } from '../../dist/train/step.js';
import { relativeError, values } from '../layers/backends.js';

const SIZE = 4;
const PIXELS = SIZE * SIZE * 3;
const DIM = 6;
const CLASSES = 9;
const MICRO = 4;
const STEPS = 3;

const optimizers = {
  sgd: () => new SgdMomentum({ momentum: 0.9, weightDecay: 0.01, decayNormAndBias: true }),
  // A plain ε: with 1e-8 the first update is ±η whatever the gradient, which would hide one of another size.
  adamw: () => new AdamW({ epsilon: 0.1, weightDecay: 0.05, decayNormAndBias: false }),
};

/** A small backbone without batch statistics, and a head of the engine. */
function makeParts(kind: keyof typeof optimizers): StepParts & { head: PartialFC } {
  const backbone = tfl.sequential();
  backbone.add(tfl.layers.flatten({ inputShape: [SIZE, SIZE, 3] }));
  backbone.add(tfl.layers.dense({ units: 8, activation: 'tanh' }));
  backbone.add(tfl.layers.dense({ units: DIM }));
  backbone.weights.forEach((weight, i) => {
    const shape = weight.shape as number[];
    const size = shape.reduce((a, b) => a * b, 1);
    weight.write(tf.tensor(values(size, i + 1), shape));
  });
  return {
    backbone,
    variables: backbone.trainableWeights.map((weight) => (weight as unknown as { val: tf.Variable }).val),
    optimizer: optimizers[kind](),
    head: new PartialFC({
      margin: marginByName('arcface', { scale: 8, margin: 0.3 }),
      classes: CLASSES,
      dim: DIM,
      subCenters: 2,
      seed: 3,
      device: 'cpu',
    }),
    inputSize: SIZE,
    // Low enough to clip, which the sum of gradients decides and not each of them.
    clipNorm: 0.2,
    headNumbers: { momentum: 0.9, weightDecay: 0.01 },
    nameOf: String,
  };
}

function samples(first: number, count: number) {
  const indices = Array.from({ length: count }, (_, i) => first + i);
  return {
    images: Float32Array.from(indices.flatMap((index) => [...values(PIXELS, index + 100)])),
    labels: Int32Array.from(indices, (index) => (index * 5) % CLASSES),
    indices,
  };
}

const weightsOf = (parts: StepParts): number[] =>
  parts.backbone.weights.flatMap((weight) => [...weight.read().dataSync()]);
const centersOf = ({ head }: { head: PartialFC }, buffer: 'weights' | 'momentum'): Float32Array =>
  head.centers.readRows(0, CLASSES * 2, buffer);

/** Trains on the same samples in batches of `size`, `count` of them an update. */
function trainInBatches(kind: keyof typeof optimizers, size: number, count: number) {
  const parts = makeParts(kind);
  const before = weightsOf(parts);
  const norms: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const first = step * size * count;
    const batches = Array.from({ length: count }, (_, i) => samples(first + i * size, size));
    norms.push(trainStep(parts, batches, { learningRate: 0.05, headLearningRate: 0.5 }, step + 1).gradientNorm);
  }
  expect(relativeError(weightsOf(parts), before)).toBeGreaterThan(1e-3);
  const result = {
    norms,
    weights: weightsOf(parts),
    centers: centersOf(parts, 'weights'),
    momentum: centersOf(parts, 'momentum'),
  };
  parts.head.dispose();
  return result;
}

beforeAll(async () => {
  tf.env().set('PROD', true);
  await tf.setBackend('cpu');
});

describe('gradient accumulation', () => {
  it.each(['sgd', 'adamw'] as const)('of 3 × 4 samples equals one batch of 12, the head included: %s', (kind) => {
    const large = trainInBatches(kind, 3 * MICRO, 1);
    const small = trainInBatches(kind, MICRO, 3);
    expect(relativeError(small.norms, large.norms)).toBeLessThan(1e-6);
    expect(large.norms[0]).toBeGreaterThan(0.2);
    expect(relativeError(small.weights, large.weights)).toBeLessThan(1e-6);
    expect(relativeError(small.centers, large.centers)).toBeLessThan(1e-6);
    expect(relativeError(small.momentum, large.momentum)).toBeLessThan(1e-5);
  });
});
