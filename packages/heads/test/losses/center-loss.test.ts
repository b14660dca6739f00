import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers';
import { ClassCenters } from '@hyperarc/kernels-cuda';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { EngineCenterLoss, PartialFC } from '../../dist/engine/index.js';
import { arcFace, CenterLoss, centerLoss, softmaxLoss } from '../../dist/index.js';
import { clusters, expectCode, maxDifference } from '../support.js';
import { randomNumbers } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

const CLASSES = 6;
const DIM = 4;

/** The two homes of the centres behind one face. */
interface Subject {
  readonly loss: CenterLoss | EngineCenterLoss;
  readonly read: () => Float32Array;
  readonly write: (values: Float32Array) => void;
}

const makers: Record<string, (options?: { weight?: number; rate?: number }) => Subject> = {
  CenterLoss: (options) => {
    const loss = new CenterLoss({ classes: CLASSES, dim: DIM, seed: 3, ...options });
    return {
      loss,
      read: () => loss.centers.dataSync<'float32'>().slice(),
      write: (values) => tf.tidy(() => loss.centers.assign(tf.tensor2d(values, [CLASSES, DIM]))),
    };
  },
  EngineCenterLoss: (options) => {
    const loss = new EngineCenterLoss({ classes: CLASSES, dim: DIM, seed: 3, device: 'cpu', ...options });
    return {
      loss,
      read: () => loss.centers.readRows(0, CLASSES),
      write: (values) => loss.centers.writeRows(0, values),
    };
  },
};

function numbers(seed: number, count: number): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: count }, () => 2 * random());
}

/** Wen et al., eq. 4, one class after another in float64. */
function movedByHand(centers: Float32Array, points: Float32Array, labels: readonly number[], rate: number): number[] {
  const moved = Array.from(centers);
  for (let j = 0; j < CLASSES; j++) {
    const members = labels.flatMap((label, i) => (label === j ? [i] : []));
    for (let d = 0; d < DIM; d++) {
      const pull = members.reduce((sum, i) => sum + centers[j * DIM + d] - points[i * DIM + d], 0);
      moved[j * DIM + d] -= (rate * pull) / (1 + members.length);
    }
  }
  return moved;
}

describe.each(Object.entries(makers))('%s', (_, make) => {
  const labels = [0, 2, 2, 5, 2, 0, 1];
  const points = numbers(9, labels.length * DIM);
  const x = () => tf.tensor2d(points, [labels.length, DIM]);

  it('has the loss and gradient of the function', () => {
    const { loss, read, write } = make({ weight: 0.25 });
    write(numbers(4, CLASSES * DIM));
    tf.tidy(() => {
      const centers = tf.tensor2d(read(), [CLASSES, DIM]);
      const expected = tf.valueAndGrad((p) => centerLoss(p as tf.Tensor2D, centers, labels, { weight: 0.25 }))(x());
      const actual = tf.valueAndGrad((p) => loss.loss(p as tf.Tensor2D, labels))(x());
      expect(actual.value.dataSync()[0]).toBeCloseTo(expected.value.dataSync()[0], 6);
      expect(maxDifference(actual.grad.dataSync(), expected.grad.dataSync())).toBeLessThan(1e-7);
    });
    loss.dispose();
  });

  it('moves the centres of its batches by the paper’s rule, and no others', () => {
    const { loss, read, write } = make({ rate: 0.3 });
    const start = numbers(4, CLASSES * DIM);
    write(start);
    tf.dispose(tf.tidy(() => loss.loss(x(), labels)));
    expect(read()).toEqual(start);
    loss.update();
    const moved = read();
    expect(maxDifference(moved, movedByHand(start, points, labels, 0.3))).toBeLessThan(1e-6);
    for (const absent of [3, 4])
      expect(moved.slice(4 * absent, 4 * absent + 4)).toEqual(start.slice(4 * absent, 4 * absent + 4));
    loss.dispose();
  });

  it('takes several batches before an update as one', () => {
    const [whole, parts] = [make(), make()];
    tf.tidy(() => {
      whole.loss.loss(x(), labels);
      parts.loss.loss(tf.slice(x(), [0, 0], [3, -1]), labels.slice(0, 3));
      parts.loss.loss(tf.slice(x(), [3, 0], [4, -1]), labels.slice(3));
    });
    expect(parts.loss.pending).toBe(2);
    for (const { loss } of [whole, parts]) loss.update();
    expect(parts.loss.pending).toBe(0);
    expect(maxDifference(whole.read(), parts.read())).toBeLessThan(1e-7);
    for (const { loss } of [whole, parts]) loss.dispose();
  });

  it('starts from the centres of its seed, and leaves no tensors behind', () => {
    const before = tf.memory().numTensors;
    const [a, b] = [make(), makers['EngineCenterLoss']()];
    expect(a.read()).toEqual(b.read());
    tf.dispose(tf.tidy(() => a.loss.loss(x(), labels)));
    a.loss.update();
    tf.dispose(tf.tidy(() => a.loss.loss(x(), labels)));
    for (const { loss } of [a, b]) loss.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('answers bad input with an error that names it, and remembers nothing of it', () => {
    const { loss } = make();
    tf.tidy(() => {
      expectCode(() => loss.update(), 'E_RANGE', 'update: expected a loss()');
      expectCode(() => loss.loss(x(), [...labels.slice(1), 6]), 'E_RANGE', 'labels[6]');
      expectCode(() => loss.loss(tf.ones([2, 5]) as tf.Tensor2D, [0, 1]), 'E_SHAPE', 'embeddings: expected [B, 4]');
      expectCode(() => loss.loss([[1, 2, 3, 4]] as never, [0]), 'E_DTYPE', 'embeddings');
      expect(loss.pending).toBe(0);
      expectCode(() => make({ rate: 1.5 }), 'E_RANGE', 'rate');
      expectCode(() => make({ weight: -1 }), 'E_RANGE', 'weight');
      loss.dispose();
      loss.dispose();
      expectCode(() => loss.loss(x(), labels), 'E_DISPOSED', '');
    });
  });
});

describe('CenterLoss', () => {
  it.each(['cpu', 'wasm'])('moves no centre by a batch that is not finite, on %s', async (backend) => {
    await tf.setBackend(backend);
    const loss = new CenterLoss({ classes: 3, dim: 2, seed: 3 });
    const before = loss.centers.dataSync().slice();
    for (const wrong of [NaN, Infinity]) {
      const x = tf.tensor2d([1, 2, wrong, 4], [2, 2]);
      loss.loss(x, [0, 1]).dispose();
      const { numTensors } = tf.memory();
      expectCode(() => loss.update(), 'E_NONFINITE', 'embeddings: expected finite numbers, received others; discard()');
      expect(tf.memory().numTensors).toBe(numTensors);
      expect(loss.centers.dataSync()).toEqual(before);
      expect(loss.pending).toBe(1);
      loss.discard();
      x.dispose();
    }
    loss.dispose();
    await tf.setBackend('cpu');
  });
});

describe('EngineCenterLoss', () => {
  it('refuses centres that are not one a class, and embeddings that are not finite', () => {
    const withSubCenters = ClassCenters.create({ classes: 3, dim: 2, subCenters: 2, device: 'cpu' });
    expectCode(() => new EngineCenterLoss({ centers: withSubCenters }), 'E_RANGE', 'one centre a class');
    withSubCenters.dispose();
    const shard = ClassCenters.create({ classes: 3, dim: 2, firstClass: 3, globalClasses: 9, device: 'cpu' });
    expectCode(() => new EngineCenterLoss({ centers: shard }), 'E_RANGE', 'centres of every class');
    shard.dispose();
    expectCode(() => new EngineCenterLoss({ centers: {} as never }), 'E_RANGE', 'centers');
    for (const Loss of [CenterLoss, EngineCenterLoss]) {
      const options = { classes: 3, dim: 2, subCenters: 3 };
      expectCode(() => new Loss(options), 'E_RANGE', 'center loss pulls to one centre a class');
    }
    using loss = new EngineCenterLoss({ classes: 3, dim: 2, device: 'cpu' });
    tf.tidy(() => {
      const infinite = tf.tensor2d([1, 2, Infinity, 4], [2, 2]);
      expectCode(() => loss.loss(infinite, [0, 1]), 'E_NONFINITE', 'embeddings[1]');
    });
  });
});

/** Mean distance of points to the mean of their class, over the mean distance between class means. */
function spread(points: tf.Tensor2D, labels: Int32Array, classes: number): number {
  return tf.tidy(() => {
    const classOfRow = tf.reshape(tf.range(0, classes, 1, 'int32'), [classes, 1]);
    const members = tf.cast(
      tf.equal(tf.tensor2d(labels, [1, labels.length], 'int32'), classOfRow),
      'float32',
    ) as tf.Tensor2D;
    const means: tf.Tensor2D = tf.div(tf.matMul(members, points), tf.sum(members, 1, true));
    const within = tf.mean(tf.norm(tf.sub(points, tf.gather(means, tf.tensor1d(labels, 'int32'))), 2, 1));
    const between = tf.mean(tf.norm(tf.sub(tf.expandDims(means, 0), tf.expandDims(means, 1)), 2, 2));
    return within.dataSync()[0] / between.dataSync()[0];
  });
}

describe('center loss beside a classifier', () => {
  /** Trains a linear backbone on a toy set with λ, and gives the spread of its embeddings. */
  function train(weight: number): number {
    const [points, labels] = clusters(11, 60, 6, 10);
    const [backbone, classifier] = tf.tidy(() => [
      tf.variable(tf.randomNormal([10, 4], 0, 0.5, 'float32', 3) as tf.Tensor2D),
      tf.variable(tf.randomNormal([6, 4], 0, 0.5, 'float32', 4) as tf.Tensor2D),
    ]);
    const biases = tf.variable(tf.zeros([6]) as tf.Tensor1D);
    const center = new CenterLoss({ classes: 6, dim: 4, weight });
    const optimizer = tf.train.sgd(0.1);
    for (let t = 0; t < 150; t++) {
      optimizer.minimize(
        () => {
          const embeddings: tf.Tensor2D = tf.matMul(points, backbone);
          return tf.add(
            softmaxLoss(embeddings, classifier, biases, labels),
            center.loss(embeddings, labels),
          ) as tf.Scalar;
        },
        false,
        [backbone, classifier, biases],
      );
      center.update();
    }
    const embeddings = tf.matMul(points, backbone) as tf.Tensor2D;
    const result = spread(embeddings, labels, 6);
    tf.dispose([points, backbone, classifier, biases, embeddings]);
    center.dispose();
    return result;
  }

  it('tightens classes against the same training without it', () => expect(train(0.3)).toBeLessThan(0.9 * train(0)));

  it('stays out of an optimizer that is given no variables', () => {
    const [points, labels] = clusters(11, 12, 6, 4);
    const center = new CenterLoss({ classes: 6, dim: 4 });
    const start = center.centers.dataSync().slice();
    const backbone = tf.variable(tf.eye(4) as tf.Tensor2D);
    tf.train.sgd(1).minimize(() => center.loss(tf.matMul(points, backbone), labels));
    expect(center.centers.dataSync()).toEqual(start);
    center.dispose();
    tf.dispose([points, backbone]);
  });

  it('goes beside a margin head on the engine', () => {
    const [points, labels] = clusters(11, 60, 6, 10);
    using head = new PartialFC({ classes: 6, dim: 4, margin: arcFace({ scale: 16 }), device: 'cpu' });
    using center = new EngineCenterLoss({ classes: 6, dim: 4, weight: 0.1, device: 'cpu' });
    const backbone = tf.variable(tf.randomNormal([10, 4], 0, 0.5, 'float32', 3) as tf.Tensor2D);
    const optimizer = tf.train.sgd(0.1);
    const losses: number[] = [];
    for (let t = 0; t < 30; t++) {
      const step = () => {
        const embeddings: tf.Tensor2D = tf.matMul(points, backbone);
        return tf.add(head.loss(embeddings, labels), center.loss(embeddings, labels)) as tf.Scalar;
      };
      const value = optimizer.minimize(step, true, [backbone])!;
      losses.push(value.dataSync()[0]);
      value.dispose();
      head.update({ learningRate: 0.1, momentum: 0.9, weightDecay: 0 });
      center.update();
    }
    expect(losses.at(-1)).toBeLessThan(losses[0] / 2);
    tf.dispose([points, backbone]);
  });
});
