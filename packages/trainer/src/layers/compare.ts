import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { FusedBatchNorm } from './batchNorm.js';
import { PReLU } from './prelu.js';

export interface LayerTiming {
  layer: string;
  /** Name of the tfjs backend. */
  backend: string;
  /** Of the activations, [B, H, W, C]. */
  shape: readonly number[];
  /** Best of the repetitions of forward and backward together. */
  fusedMs: number;
  stockMs: number;
  /** stockMs/fusedMs. */
  speedup: number;
}

export interface CompareOptions {
  /** [B, H, W, C]; default the first stage of an IResNet, [8, 56, 56, 64]. */
  shape?: [number, number, number, number];
  /** Timed repetitions of each. Default 15. */
  repetitions?: number;
}

const pairs: Readonly<Record<string, readonly [fused: () => tfl.layers.Layer, stock: () => tfl.layers.Layer]>> = {
  'batch norm': [() => new FusedBatchNorm(), () => tfl.layers.batchNormalization({ epsilon: 1e-5, momentum: 0.9 })],
  PReLU: [() => new PReLU(), () => tfl.layers.prelu({ sharedAxes: [1, 2] })],
};

/** One training step of a layer: forward, and the gradients of its input and weights. */
function makeStep(layer: tfl.layers.Layer, x: tf.Variable): () => number {
  layer.build(x.shape);
  const variables = [x, ...layer.trainableWeights.map((weight) => weight.read() as tf.Variable)];
  return () => {
    const start = performance.now();
    const { value, grads } = tf.variableGrads(
      () => tf.sum(layer.apply(x, { training: true }) as tf.Tensor) as tf.Scalar,
      variables,
    );
    // Reading back waits for devices that run on their own.
    grads[x.name]!.dataSync();
    const elapsedMs = performance.now() - start;
    tf.dispose([value, grads]);
    return elapsedMs;
  };
}

/**
 * Times the fused layers against tfjs's own on the current backend. The two take turns, so that other load on the machine falls on
 * both; compare their ratio. (A sum, its gradient and one read back are part of both.)
 */
export function timeLayers({ shape = [8, 56, 56, 64], repetitions = 15 }: CompareOptions = {}): LayerTiming[] {
  const x = tf.tidy(() => tf.variable(tf.randomNormal(shape, 0, 1, 'float32', 1)));
  const timings = Object.entries(pairs).map(([layer, makers]) => {
    const layers = makers.map((make) => make());
    const [fused, stock] = layers.map((each) => makeStep(each, x)) as [() => number, () => number];
    const [fusedTimes, stockTimes]: [number[], number[]] = [[], []];
    for (let i = -2; i < repetitions; i++) {
      const [fusedMs, stockMs] = [fused(), stock()];
      if (i < 0) continue;
      fusedTimes.push(fusedMs);
      stockTimes.push(stockMs);
    }
    for (const weight of layers.flatMap((each) => each.weights)) weight.dispose();
    const [fusedMs, stockMs] = [Math.min(...fusedTimes), Math.min(...stockTimes)];
    return { layer, backend: tf.getBackend(), shape, fusedMs, stockMs, speedup: stockMs / fusedMs };
  });
  x.dispose();
  return timings;
}
