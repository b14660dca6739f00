import '@tensorflow/tfjs-backend-cpu';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import { forward, targetLogit } from '@hyperarc/kernels-cuda/reference';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import {
  adaCos,
  adaFace,
  arcFace,
  classCosines,
  combinedMargin,
  cosFace,
  curricularFace,
  elasticFace,
  magFace,
  MarginHead,
  marginLogits,
  marginSoftmaxLoss,
  normFace,
  sphereFace,
  type MarginSpec,
  type MarginState,
} from '../dist/index.js';
import { clusters, expectCode, maxDifference } from './support.js';

beforeAll(() => tf.setBackend('cpu'));

describe('marginLogits', () => {
  const cosines = [0.9, 0.2, -0.3, -0.95, 0.1, 0.4, 1, -1, 0];
  const labels = [0, 0, 0];

  it.each([
    arcFace(),
    cosFace(),
    combinedMargin({ scale: 16 }),
    arcFace({ fallback: 'easy', gradient: 'straight-through' }),
  ])('puts the margin on the target alone: $name $fallback', (spec) => {
    const logits = tf.tidy(() => marginLogits(tf.tensor2d(cosines, [3, 3]), labels, spec).dataSync());
    const expected = cosines.map((cosine, e) =>
      e % 3 === 0 ? targetLogit(cosine, Math.sqrt(1 - cosine ** 2), spec).logit : spec.scale * cosine,
    );
    // fp32 cosines near ±1 leave 3e-4 of angle.
    expect(maxDifference(logits, expected)).toBeLessThan(1e-3);
  });

  it('has the derivative of the reference, and a finite one at ±1', () => {
    const spec = arcFace();
    const weights = cosines.map((_, e) => 1 + e);
    const gradient = tf.tidy(() => {
      const total = (c: tf.Tensor) =>
        tf.sum(tf.mul(marginLogits(c as tf.Tensor2D, labels, spec), tf.tensor2d(weights, [3, 3])));
      return tf
        .grad(total)(tf.tensor2d(cosines, [3, 3]))
        .dataSync();
    });
    cosines.forEach((cosine, e) => {
      const sine = Math.sqrt(1 - cosine ** 2);
      const derivative = e % 3 === 0 ? (sine === 0 ? 0 : targetLogit(cosine, sine, spec).slope / sine) : spec.scale;
      expect(gradient[e]).toBeCloseTo(weights[e] * derivative, 2);
    });
  });

  it('gives, through softmax cross-entropy, the loss of marginSoftmaxLoss', () => {
    const [points, y] = clusters(3, 12, 5, 8);
    const head = new MarginHead({ classes: 5, dim: 8, margin: arcFace({ scale: 16 }), seed: 4 });
    const [direct, composed] = tf.tidy(() => {
      const entropy = tf.logSoftmax(head.logits(points, y));
      const targets = Array.from(y, (label, i) => entropy.arraySync()[i][label]);
      return [head.loss(points, y).dataSync()[0], -targets.reduce((a, b) => a + b) / 12];
    });
    expect(direct).toBeCloseTo(composed, 4);
    head.dispose();
  });
});

it('the functional forms say once that a margin adapts elsewhere; heads carry it out and are silent', () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  tf.tidy(() => {
    const [x, centers] = [tf.randomNormal<tf.Rank.R2>([2, 3]), tf.randomNormal<tf.Rank.R2>([4, 3])];
    for (const margin of [curricularFace(), adaCos({ classes: 4 }), adaFace()]) {
      const head = new MarginHead({ classes: 4, dim: 3, margin });
      head.loss(x, [0, 1]);
      head.logits(x, [0, 1]);
      head.dispose();
    }
    expect(warn).not.toHaveBeenCalled();
    for (let call = 0; call < 2; call++) {
      marginSoftmaxLoss(x, centers, [0, 1], adaFace());
      marginLogits(tf.zeros([2, 4]), [0, 1], curricularFace());
      marginLogits(tf.zeros([2, 4]), [0, 1], adaFace(), tf.tensor2d([64, 1, -0.1, 0.4, 64, 1, 0, 0.3], [2, 4]));
    }
  });
  expect(warn.mock.calls.map(([message]) => String(message).split(' adapts')[0])).toEqual([
    "marginSoftmaxLoss: 'adaface'",
    "marginLogits: 'curricularface'",
  ]);
  warn.mockRestore();
});

describe('marginSoftmaxLoss', () => {
  it('scales its gradients by what follows it on the tape', () => {
    const [points, y] = clusters(5, 6, 3, 4);
    const centers = tf.randomNormal([3, 4], 0, 1, 'float32', 9) as tf.Tensor2D;
    const once = tf
      .grad((x) => marginSoftmaxLoss(x as tf.Tensor2D, centers, y, normFace()))(points)
      .dataSync();
    const thrice = tf
      .grad((x) => tf.mul(marginSoftmaxLoss(x as tf.Tensor2D, centers, y, normFace()), 3))(points)
      .dataSync();
    expect(
      maxDifference(
        thrice,
        once.map((value) => 3 * value),
      ),
    ).toBeLessThan(1e-6);
    tf.dispose([points, centers]);
  });

  it('leaves no tensors behind', () => {
    const [points, y] = clusters(5, 6, 3, 4);
    const head = new MarginHead({ classes: 3, dim: 4, margin: arcFace(), subCenters: 2 });
    const before = tf.memory().numTensors;
    for (let t = 0; t < 3; t++) {
      const { value, grads } = tf.variableGrads(() => head.loss(points, y));
      tf.dispose([value, grads]);
      head.logits(points, y).dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(points);
    head.dispose();
  });
});

describe('embeddings near the largest fp32 number', () => {
  it('have the loss and the gradient of the reference', () => {
    const centers = { classes: 2, subCenters: 1, dim: 3, firstClass: 0, weights: Float32Array.of(1, 2, 3, -1, 2, 1) };
    const embeddings = Float32Array.of(3e38, -3e38, 2e38, 1e19, 2e19, 1e3);
    const batch = { embeddings, labels: Int32Array.of(0, 1), rule: arcFace({ scale: 8 }) };
    const expected = forward([centers], batch);
    const lossOf = (x: tf.Tensor) =>
      marginSoftmaxLoss(x as tf.Tensor2D, tf.tensor2d(centers.weights, [2, 3]), batch.labels, arcFace({ scale: 8 }));
    const { value, grad } = tf.valueAndGrad(lossOf)(tf.tensor2d(embeddings, [2, 3]));
    expect(value.dataSync()[0]).toBeCloseTo(expected.loss, 5);
    // The first row's gradient is below what fp32 holds in full.
    const second = [3, 4, 5].map((e) => grad.dataSync()[e] / expected.embeddingGradient[e]);
    for (const ratio of second) expect(ratio).toBeCloseTo(1, 4);
  });
});

describe('MarginHead', () => {
  it('trains with the backbone: the loss falls, and classes separate', () => {
    const [points, labels] = clusters(11, 60, 6, 10);
    const head = new MarginHead({ classes: 6, dim: 4, margin: arcFace({ scale: 16, margin: 0.3 }), seed: 2 });
    const backbone = tf.variable(tf.randomNormal([10, 4], 0, 0.5, 'float32', 3) as tf.Tensor2D);
    const optimizer = tf.train.sgd(0.1);
    const loss = () => head.loss(tf.matMul(points, backbone), labels);
    const first = tf.tidy(() => loss().dataSync()[0]);
    const variables = [backbone, head.centers] as tf.Variable[];
    for (let t = 0; t < 60; t++) optimizer.minimize(loss, false, variables);
    const last = tf.tidy(() => loss().dataSync()[0]);
    expect(last).toBeLessThan(first / 4);
    const predicted = tf.tidy(() => tf.argMax(head.logits(tf.matMul(points, backbone)), 1).dataSync());
    expect(Array.from(predicted)).toEqual(Array.from(labels));
    tf.dispose([points, backbone]);
    head.dispose();
  });

  it('starts from centres that its seed decides, with sub-centres as the reference has them', () => {
    const make = (seed: number | bigint) =>
      new MarginHead({ classes: 4, dim: 5, subCenters: 3, margin: cosFace(), seed });
    const [a, b, c] = [make(1), make(1n), make(2)];
    expect(a.centers.dataSync()).toEqual(b.centers.dataSync());
    expect(a.centers.dataSync()).not.toEqual(c.centers.dataSync());
    const [points, labels] = clusters(8, 6, 4, 5);
    const expected = forward([{ classes: 4, subCenters: 3, dim: 5, firstClass: 0, weights: a.centers.dataSync() }], {
      embeddings: points.dataSync(),
      labels,
      rule: cosFace(),
    });
    expect(tf.tidy(() => a.loss(points, labels).dataSync()[0])).toBeCloseTo(expected.loss, 4);
    points.dispose();
    for (const head of [a, b, c]) head.dispose();
  });

  it('has the margin’s state for its own, to go on from', () => {
    const [points, labels] = clusters(6, 9, 4, 5);
    const make = (margin: MarginSpec) => new MarginHead({ classes: 4, dim: 5, margin, seed: 1, stddev: 1 });
    for (const spec of [adaFace(), curricularFace(), elasticFace(), adaCos({ classes: 4 }), sphereFace()]) {
      const [first, second] = [make(spec), make(spec)];
      const lossOf = (head: MarginHead) => tf.tidy(() => head.loss(points, labels).dataSync()[0]);
      const [before] = [lossOf(first), lossOf(first)];
      second.loadState(JSON.parse(JSON.stringify(first.state())) as MarginState);
      expect(lossOf(second)).toBe(lossOf(first));
      expect(second.state()).toEqual(first.state());
      expect(lossOf(make(spec))).toBe(before);
    }
    const message = "expected that of this head, 'adaface', received 'curricularface'";
    expectCode(() => make(adaFace()).loadState(make(curricularFace()).state()), 'E_FORMAT', message);
    points.dispose();
  });

  it('evaluates without learning, and shows logits with the margin as it stands', () => {
    const [points, labels] = clusters(7, 9, 4, 5);
    for (const spec of [magFace(), adaFace(), curricularFace(), sphereFace(), adaCos({ classes: 4 })]) {
      const head = new MarginHead({ classes: 4, dim: 5, margin: spec, seed: 1, stddev: 1 });
      const taped = head.loss(points, labels);
      const state = head.state();
      const value = tf.tidy(() => head.evaluate(points, labels).dataSync()[0]);
      const composed = tf.tidy(() => {
        const logProbabilities = tf.logSoftmax(head.logits(points, labels)).arraySync() as number[][];
        return -logProbabilities.reduce((sum, row, i) => sum + row[labels[i]], 0) / labels.length;
      });
      expect(Math.abs(value - composed) / composed, spec.name).toBeLessThan(1e-4);
      const [plain, withMargin] = tf.tidy(() => [
        head.logits(points).arraySync(),
        head.logits(points, labels).arraySync(),
      ]);
      // Without labels the scaled cosines: what the negatives have too, where no rule moves them.
      if (!spec.negatives) {
        plain.forEach((row, i) =>
          row.forEach((logit, j) => j === labels[i] || expect(withMargin[i][j]).toBeCloseTo(logit, 3)),
        );
      }
      expect(head.state()).toEqual(state);
      taped.dispose();
      head.dispose();
    }
    points.dispose();
  });

  it('takes nothing of a batch that is not finite into the margin', () => {
    for (const spec of [adaFace(), magFace(), sphereFace(), elasticFace({ plus: true })]) {
      const head = new MarginHead({ classes: 3, dim: 2, margin: spec });
      const before = head.state();
      for (const wrong of [NaN, Infinity]) {
        const x = tf.tensor2d([1, 2, wrong, 1], [2, 2]);
        expectCode(() => head.loss(x, [0, 1]), 'E_NONFINITE', 'received NaN from row 1');
        x.dispose();
      }
      expect(head.state()).toEqual(before);
      head.dispose();
    }
  });

  it('answers bad input with an error that names it', () => {
    const head = new MarginHead({ classes: 3, dim: 4, margin: arcFace() });
    const x = tf.zeros([2, 4]) as tf.Tensor2D;
    expectCode(() => head.loss(x, [0, 3]), 'E_RANGE', 'labels[1]: expected an integer in [0, 3), received 3');
    expectCode(() => head.loss(x, [0, -1]), 'E_RANGE', 'labels[1]');
    expectCode(() => head.loss(x, [0, 0.5]), 'E_RANGE', 'labels[1]');
    expectCode(() => head.loss(x, [0]), 'E_SHAPE', 'labels');
    expectCode(() => head.loss(x, tf.tensor1d([0, 1])), 'E_DTYPE', 'labels');
    expectCode(() => head.loss(tf.zeros([2, 5]) as tf.Tensor2D, [0, 1]), 'E_SHAPE', 'embeddings: expected [B, 4]');
    expectCode(() => head.loss(tf.zeros([0, 4]) as tf.Tensor2D, []), 'E_SHAPE', 'embeddings');
    expectCode(() => head.loss(tf.zeros([2, 4], 'int32') as tf.Tensor2D, [0, 1]), 'E_DTYPE', 'embeddings');
    expectCode(() => marginLogits(x, [0, 4], arcFace()), 'E_RANGE', 'labels[1]');
    expectCode(() => new MarginHead({ classes: 0, dim: 4, margin: arcFace() }), 'E_RANGE', 'classes');
    expectCode(() => new MarginHead({ classes: 3, dim: 1.5, margin: arcFace() }), 'E_RANGE', 'dim');
    expectCode(() => new MarginHead({ classes: 3, dim: 4, margin: arcFace(), seed: -1 }), 'E_RANGE', 'seed');
    expectCode(() => new MarginHead({ classes: 3, dim: 4, margin: arcFace(), stddev: 0 }), 'E_RANGE', 'stddev');
    expectCode(() => head.loss(x, undefined as never), 'E_DTYPE', 'labels');
    expectCode(() => head.loss(undefined as never, [0, 1]), 'E_DTYPE', 'embeddings');
    expectCode(() => head.loss([[1, 2, 3, 4]] as never, [0]), 'E_DTYPE', 'embeddings');
    for (const spec of [undefined, 'arcface', { ...arcFace(), m2: 2 }] as never[]) {
      const cosines = tf.zeros([2, 3]) as tf.Tensor2D;
      expectCode(() => new MarginHead({ classes: 3, dim: 4, margin: spec }), 'E_RANGE', 'margin');
      expectCode(() => marginSoftmaxLoss(x, head.centers as tf.Tensor2D, [0, 1], spec), 'E_RANGE', 'margin');
      expectCode(() => marginLogits(cosines, [0, 1], spec), 'E_RANGE', 'margin');
    }
    for (const shape of [[0, 4], [3, 0, 4], [4]] as [number, number][]) {
      const centers = tf.zeros(shape) as tf.Tensor2D;
      expectCode(() => marginSoftmaxLoss(x, centers, [0, 1], arcFace()), 'E_SHAPE', 'centers: expected [C, D] or');
    }
    expectCode(() => classCosines(x, tf.zeros([3, 4], 'int32') as tf.Tensor2D), 'E_DTYPE', 'centers');
    expectCode(() => new MarginHead({ classes: 2 ** 40, dim: 4, margin: arcFace() }), 'E_MEMORY', 'classes');
    head.dispose();
    head.dispose();
    expectCode(() => head.loss(x, [0, 1]), 'E_DISPOSED', 'MarginHead');
    x.dispose();
  });
});
