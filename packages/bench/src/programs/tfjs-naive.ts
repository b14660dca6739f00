import { initBackend } from '@hyperarc/trainer';
import * as tf from '@tensorflow/tfjs-core';

import { makeBatches } from '../inputs.js';
import { checkLoss, measureSteps, SGD, SkipCase, type ProgramFactory } from './program.js';

const SCALE = 64;
const MARGIN_RADIANS = 0.5;

/**
 * The head as one would write it in tfjs with no engine: all class centres in one variable, logits [B, C] in memory, gradients from the tape, momentum
 * and weights updated by tensor operations. ArcFace with the straight-through gradient (margin outside the tape), as arcface_torch.
 */
export const tfjsNaive: ProgramFactory = async ({ axes, threads }) => {
  const name = axes.backend ?? 'wasm';
  const backend = await loadBackend(name);
  const { B, C, D } = axes;
  const batches = makeBatches(axes, 4).map(({ embeddingsBD, labelsB }) => ({
    embeddings: tf.tensor2d(embeddingsBD, [B, D]),
    labels: tf.tensor1d(labelsB, 'int32'),
  }));
  const weights = tf.variable(tf.tidy(() => tf.mul(tf.randomNormal([C, D], 0, 1, 'float32', 1), 0.01)));
  const momentum = tf.variable(tf.zeros([C, D]));

  const unit = (rows: tf.Tensor2D) => tf.div(rows, tf.norm(rows, 'euclidean', 1, true)) as tf.Tensor2D;

  /** s·(cos(θ+m) − cosθ) at each sample's own class and 0 elsewhere, [B, C], a constant of the tape. */
  const marginShift = (embeddings: tf.Tensor2D, centers: tf.Tensor2D, labels: tf.Tensor1D, oneHot: tf.Tensor2D) => {
    const own = tf.gather(centers, labels) as tf.Tensor2D;
    const cosines = tf.clipByValue(tf.sum(tf.mul(unit(embeddings), unit(own)), 1, true), -1, 1);
    const shifted = tf.cos(tf.add(tf.acos(cosines), MARGIN_RADIANS));
    return tf.mul(oneHot, tf.mul(tf.sub(shifted, cosines), SCALE));
  };

  const loss = (embeddings: tf.Tensor2D, centers: tf.Tensor2D, oneHot: tf.Tensor2D, shift: tf.Tensor) => {
    const logits = tf.add(tf.mul(tf.matMul(unit(embeddings), unit(centers), false, true), SCALE), shift);
    return tf.mean(tf.sub(tf.logSumExp(logits, 1), tf.sum(tf.mul(logits, oneHot), 1))) as tf.Scalar;
  };

  let iteration = 0;
  let lastLoss = 0;
  return {
    ready: { facts: { tfjs: tf.version_core, ...backend, threads: name === 'wasm' ? 1 : threads } },
    measure: measureSteps(async () => {
      const { embeddings, labels } = batches[iteration++ % batches.length]!;
      const value = tf.tidy(() => {
        const oneHot = tf.cast(tf.oneHot(labels, C), 'float32') as tf.Tensor2D;
        const shift = marginShift(embeddings, weights as tf.Tensor2D, labels, oneHot);
        const f = (x: tf.Tensor, w: tf.Tensor) => loss(x as tf.Tensor2D, w as tf.Tensor2D, oneHot, shift);
        const { value, grads } = tf.valueAndGrads(f as (...args: tf.Tensor[]) => tf.Scalar)([embeddings, weights]);
        const velocity = tf.add(tf.mul(momentum, SGD.momentum), tf.add(grads[1]!, tf.mul(weights, SGD.weightDecay)));
        momentum.assign(velocity as tf.Tensor2D);
        weights.assign(tf.sub(weights, tf.mul(velocity, SGD.learningRate)) as tf.Tensor2D);
        return value;
      });
      lastLoss = (await value.data())[0]!;
      value.dispose();
    }),
    finish: () => {
      checkLoss(lastLoss);
      return { loss: lastLoss };
    },
  };
};

async function loadBackend(name: 'tensorflow' | 'wasm'): Promise<Record<string, string>> {
  try {
    const { tensorflowVersion } = await initBackend(name);
    return { backend: name, ...(tensorflowVersion !== undefined && { tensorflow: tensorflowVersion }) };
  } catch (error) {
    throw new SkipCase((error as Error).message.split('\n')[0]);
  }
}
