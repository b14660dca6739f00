import * as tf from '@tensorflow/tfjs-core';
import { PartialFC } from '../dist/engine/index.js';
import { MarginHead, type MarginSpec } from '../dist/index.js';
import { SHAPE, type TrainedHead } from './adaptive-cases.js';

/** MarginHead with plain SGD on its centres. */
export function tfjsHead(margin: MarginSpec, subCenters: number): TrainedHead {
  const head = new MarginHead({ classes: SHAPE.classes, dim: SHAPE.dim, margin, subCenters, seed: 5, stddev: 1 });
  return {
    step(embeddings, labels, learningRate) {
      const x = tf.variable(embeddings);
      const { value, grads } = tf.variableGrads(() => head.loss(x as unknown as tf.Tensor2D, labels));
      const result = { loss: value.dataSync()[0], embeddingGradient: grads[x.name].arraySync() as number[][] };
      const moved = tf.tidy(() => tf.sub(head.centers, tf.mul(grads[head.centers.name], learningRate)));
      (head.centers as tf.Variable).assign(moved);
      tf.dispose([value, grads, x, moved]);
      return result;
    },
    centers: () => tf.tidy(() => tf.reshape(head.centers, [-1, SHAPE.dim]).arraySync() as number[][]),
    state: () => head.state(),
    dispose: () => head.dispose(),
  };
}

/** PartialFC on the CPU engine with plain SGD; the same centres as {@link tfjsHead} has. */
export function engineHead(margin: MarginSpec, subCenters: number, rate = 1): TrainedHead {
  const { classes, dim } = SHAPE;
  const head = new PartialFC({ classes, dim, margin, subCenters, rate, seed: 5, stddev: 1, device: 'cpu' });
  return {
    step(embeddings, labels, learningRate) {
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => head.loss(x as tf.Tensor2D, labels))(embeddings);
      const result = { loss: value.dataSync()[0], embeddingGradient: grad.arraySync() as number[][] };
      tf.dispose([value, grad]);
      head.update({ learningRate, momentum: 0, weightDecay: 0 });
      return result;
    },
    centers() {
      const values = head.centers.readRows(0, classes * subCenters);
      return Array.from({ length: classes * subCenters }, (_, r) =>
        Array.from(values.subarray(r * dim, (r + 1) * dim)),
      );
    },
    state: () => head.state().margin,
    dispose: () => head.dispose(),
  };
}
