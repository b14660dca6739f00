import * as tf from '@tensorflow/tfjs-core';

import { SgdMomentum, variableGradients } from '../optim/index.js';
import { type BackboneOptions, createBackbone } from './create.js';

export interface StepTiming {
  name: string;
  /** Name of the tfjs backend. */
  backend: string;
  batch: number;
  inputSize: number;
  /** Best of the steps: forward, backward, update. */
  fusedMs: number;
  stockMs: number;
  /** stockMs/fusedMs. */
  speedup: number;
}

/** A training step on Σy² of one fixed batch; returns its milliseconds. */
function makeStep(options: BackboneOptions, images: tf.Tensor4D): { step: () => number; dispose: () => void } {
  const model = createBackbone(options);
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const optimizer = new SgdMomentum({ momentum: 0.9, weightDecay: 5e-4, decayNormAndBias: false });
  const step = () => {
    const start = performance.now();
    const { value, grads } = variableGradients(() => {
      const y = model.apply(images, { training: true }) as tf.Tensor;
      return tf.mul(tf.sum(tf.mul(y, y)), 1e-3) as tf.Scalar;
    }, variables);
    optimizer.apply(grads, 1e-6, { clipNorm: 5 });
    variables[0]!.dataSync();
    const elapsedMs = performance.now() - start;
    tf.dispose([value, grads]);
    return elapsedMs;
  };
  const dispose = () => {
    optimizer.dispose();
    model.dispose();
  };
  return { step, dispose };
}

/**
 * Times a training step of a backbone from fused and from stock layers on the current backend, taking turns.
 * @param batch images a step. @param steps timed steps of each.
 */
export function timeBackbone(options: Omit<BackboneOptions, 'fused'>, batch = 8, steps = 5): StepTiming {
  const inputSize = options.inputSize ?? 112;
  const images = tf.randomUniform([batch, inputSize, inputSize, 3], -1, 1, 'float32', 1) as tf.Tensor4D;
  const [fused, stock] = [true, false].map((isFused) => makeStep({ ...options, fused: isFused }, images)) as [
    ReturnType<typeof makeStep>,
    ReturnType<typeof makeStep>,
  ];
  const times: [number, number][] = [];
  for (let i = -1; i < steps; i++) {
    const pair: [number, number] = [fused.step(), stock.step()];
    if (i >= 0) times.push(pair);
  }
  fused.dispose();
  stock.dispose();
  images.dispose();
  const best = (side: 0 | 1) => Math.min(...times.map((pair) => pair[side]));
  const [fusedMs, stockMs] = [best(0), best(1)];
  return {
    name: options.name,
    backend: tf.getBackend(),
    batch,
    inputSize,
    fusedMs,
    stockMs,
    speedup: stockMs / fusedMs,
  };
}
