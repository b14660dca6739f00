import { mkdtempSync, rmSync, truncateSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import { centerGradient, drawnRows, forward, sampleClasses, sgdUpdate } from '@hyperarc/kernels-cuda/reference';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDevice, PartialFC, type PartialFCOptions } from '../dist/engine/index.js';
import {
  adaFace,
  arcFace,
  classVariant,
  curricularFace,
  elasticFace,
  magFace,
  MarginHead,
  sphereFace,
  type MarginSpec,
} from '../dist/index.js';
import { headCases, SHAPE } from './adaptive-cases.js';
import { clusters, expectCode, maxDifference } from './support.js';

const folder = mkdtempSync(join(tmpdir(), 'hyperarc-heads-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(() => tf.setBackend('cpu'));

const margin = arcFace({ scale: 16, margin: 0.3 });
const SGD = { learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4 };

function makeHead(options: Partial<PartialFCOptions> = {}): PartialFC {
  return new PartialFC({ classes: 12, dim: 6, margin, seed: 3, device: 'cpu', ...options });
}

const weightsOf = (head: PartialFC) => {
  const [classes, subCenters] = head.centers.shape;
  return head.centers.readRows(0, classes * subCenters);
};

describe('PartialFC', () => {
  it('trains a backbone on the same course as MarginHead', () => {
    const [points, labels] = clusters(21, 48, 6, 10);
    const engineHead = makeHead({ classes: 6, dim: 4 });
    const tfjsHead = new MarginHead({ classes: 6, dim: 4, margin, seed: 3 });
    const start = tf.randomNormal([10, 4], 0, 0.5, 'float32', 3) as tf.Tensor2D;
    const [engineBackbone, tfjsBackbone] = [tf.variable(start), tf.variable(start)];
    const plain = tf.train.sgd(0.1);
    const [engineLosses, tfjsLosses]: number[][] = [[], []];
    for (let t = 0; t < 25; t++) {
      const value = plain.minimize(() => engineHead.loss(tf.matMul(points, engineBackbone), labels), true, [
        engineBackbone,
      ])!;
      engineHead.update({ learningRate: 0.1, momentum: 0, weightDecay: 0 });
      engineLosses.push(value.dataSync()[0]);
      const variables = [tfjsBackbone, tfjsHead.centers] as tf.Variable[];
      const other = plain.minimize(() => tfjsHead.loss(tf.matMul(points, tfjsBackbone), labels), true, variables)!;
      tfjsLosses.push(other.dataSync()[0]);
      tf.dispose([value, other]);
    }
    expect(engineLosses.at(-1)).toBeLessThan(engineLosses[0] / 3);
    expect(maxDifference(engineLosses, tfjsLosses)).toBeLessThan(1e-3);
    expect(maxDifference(weightsOf(engineHead), tfjsHead.centers.dataSync())).toBeLessThan(1e-3);
    tf.dispose([points, start, engineBackbone, tfjsBackbone]);
    engineHead.dispose();
    tfjsHead.dispose();
  });

  it('samples as the reference does, step by step, and moves what it drew', () => {
    for (const unsampled of ['frozen', 'decayed'] as const) {
      const head = makeHead({ classes: 40, rate: 0.3, unsampled, subCenters: 2 });
      const [points, labels] = clusters(22, 8, 5, 6);
      for (let t = 0; t < 3; t++) {
        const before = weightsOf(head);
        const momentum = head.centers.readRows(0, 80, 'momentum');
        const sampled = sampleClasses({
          classes: 40,
          firstClass: 0,
          labels,
          rate: 0.3,
          seed: 3n,
          step: BigInt(t),
          shard: 0,
        });
        const centers = { classes: 40, subCenters: 2, dim: 6, firstClass: 0, weights: before };
        const step = forward([centers], { embeddings: points.dataSync(), labels, rule: margin }, [sampled]);
        const loss = head.loss(points, labels);
        expect(loss.dataSync()[0]).toBeCloseTo(step.loss, 4);
        expect(maxDifference(head.targetCosine, step.targetCosine)).toBeLessThan(1e-6);
        head.update(SGD);
        const gradient = centerGradient(centers, [step]);
        const expected = sgdUpdate(before, momentum, gradient, 6, drawnRows([step], 2), { ...SGD, unsampled });
        // Weights are about 0.01 long, gradients about 100: differences are of updates.
        const moved = maxDifference(expected.weights, before);
        expect(maxDifference(weightsOf(head), expected.weights)).toBeLessThan(1e-5 * Math.max(1, moved));
        loss.dispose();
      }
      points.dispose();
      head.dispose();
    }
  });

  it('accumulates: two micro-batches and one update are one large batch', () => {
    const [points, labels] = clusters(23, 10, 5, 6);
    const [whole, parts] = [makeHead(), makeHead()];
    tf.tidy(() => {
      whole.loss(points, labels);
      parts.loss(tf.slice(points, 0, 3), labels.slice(0, 3));
      parts.loss(tf.slice(points, 3), labels.slice(3));
    });
    expect([whole.pending, parts.pending]).toEqual([1, 2]);
    whole.update(SGD);
    parts.update(SGD);
    expect([whole.pending, parts.pending]).toEqual([0, 0]);
    expect(maxDifference(weightsOf(whole), weightsOf(parts))).toBeLessThan(1e-4);
    for (const head of [whole, parts]) head.dispose();
    points.dispose();
  });

  it('moves centres in update alone: not in loss, evaluate, logits or discard', async () => {
    const head = makeHead();
    const [points, labels] = clusters(24, 10, 5, 6);
    const before = weightsOf(head);
    const loss = head.loss(points, labels);
    const evaluation = await head.evaluate(points, labels);
    expect(evaluation.loss).toBeCloseTo(loss.dataSync()[0], 5);
    expect(evaluation.lossPerSample.length).toBe(10);
    expect(Array.from(evaluation.targetCosine)).toEqual(Array.from(head.targetCosine));
    const logits = await head.logits(points);
    expect(logits.shape).toEqual([10, 12]);
    expect(logits.dataSync()[labels[0]]).toBeCloseTo(16 * evaluation.targetCosine[0], 4);
    expect(head.pending).toBe(1);
    head.discard();
    expect(head.pending).toBe(0);
    expectCode(() => head.update(SGD), 'E_RANGE', 'update: expected a loss()');
    expect(weightsOf(head)).toEqual(before);
    tf.dispose([points, loss, logits]);
    head.dispose();
  });

  it('updates on its own thread with the same result', async () => {
    const [points, labels] = clusters(25, 10, 5, 6);
    const [first, second] = [makeHead(), makeHead()];
    for (let t = 0; t < 2; t++) {
      tf.dispose([first.loss(points, labels), second.loss(points, labels)]);
      first.update(SGD);
      await second.updateAsync(SGD);
    }
    expect(weightsOf(second)).toEqual(weightsOf(first));
    for (const head of [first, second]) head.dispose();
    points.dispose();
  });

  it.each([
    ['arcFace', margin] as const,
    ...Object.entries(headCases).map(([name, { spec }]) => [name, spec] as const),
  ])('goes on from a file bit for bit: %s', async (_, spec) => {
    const { classes } = SHAPE;
    const options = { margin: spec, rate: 0.5, device: 'cpu' } as const;
    const batches = [0, 1, 2, 3, 4].map((t) => clusters(26 + t, 10, 3, 6));
    const train = (head: PartialFC, from: number, to: number) => {
      for (const [points, labels] of batches.slice(from, to)) {
        head.loss(points, labels).dispose();
        head.update({ ...SGD, learningRate: 0.01 });
      }
    };
    const [straight, stopped] = [0, 1].map(() => makeHead({ ...options, classes, subCenters: 2, stddev: 1 }));
    train(straight, 0, 5);
    train(stopped, 0, 2);
    const path = join(folder, 'head.safetensors');
    await stopped.save(path);
    const state = JSON.parse(JSON.stringify(stopped.state())) as ReturnType<PartialFC['state']>;
    const resumed = await PartialFC.load(path, options, state);
    train(resumed, 2, 5);
    expect(weightsOf(resumed)).toEqual(weightsOf(straight));
    expect(resumed.state()).toEqual(straight.state());
    for (const head of [straight, stopped, resumed]) head.dispose();
    tf.dispose(batches.map(([points]) => points));
  });

  it('moves centres by AdamW, by promise too, and goes on from a file bit for bit', async () => {
    const batches = [0, 1, 2, 3, 4].map((t) => clusters(26 + t, 10, 3, 6));
    const adamw = { learningRate: 0.01, betas: [0.8, 0.99], epsilon: 1e-6, weightDecay: 0.1 } as const;
    const train = async (head: PartialFC, from: number, to: number) => {
      for (const [points, labels] of batches.slice(from, to)) {
        head.loss(points, labels).dispose();
        if (from === 0) head.update(adamw);
        else await head.updateAsync(adamw);
      }
    };
    const make = () => makeHead({ classes: 40, rate: 0.3, subCenters: 2, optimizer: 'adamw' });
    const [straight, stopped] = [make(), make()];
    const planned = straight.plan(10).parts.filter(({ name }) => name.endsWith(' moment'));
    expect(planned.map(({ bytes }) => bytes)).toEqual([4 * 80 * 6, 4 * 80 * 6]);
    await train(straight, 0, 5);
    await train(stopped, 0, 2);
    const path = join(folder, 'adamw.safetensors');
    await stopped.save(path);
    const resumed = await PartialFC.load(path, { margin, rate: 0.3, device: 'cpu' }, stopped.state());
    expect(resumed.centers.updates).toBe(2);
    await train(resumed, 2, 5);
    expect(resumed.centers.updates).toBe(5);
    for (const buffer of ['weights', 'momentum', 'secondMoment'] as const) {
      expect(resumed.centers.readRows(0, 80, buffer)).toEqual(straight.centers.readRows(0, 80, buffer));
    }
    resumed.loss(batches[0][0], batches[0][1]).dispose();
    expectCode(() => resumed.update(SGD), 'E_RANGE', 'momentum: expected none');
    expect(resumed.pending).toBe(1);
    for (const head of [straight, stopped, resumed]) head.dispose();
    tf.dispose(batches.map(([points]) => points));
  });

  it('refuses files and states that are not its own', async () => {
    const head = makeHead();
    const path = join(folder, 'short.safetensors');
    await head.save(path);
    expect(readdirSync(folder).filter((name) => name.includes('tmp'))).toEqual([]);
    truncateSync(path, 200);
    await expect(PartialFC.load(path, { margin, device: 'cpu' })).rejects.toMatchObject({ code: 'E_FORMAT' });
    expectCode(() => head.loadState({ ...head.state(), samplerStep: -1 }), 'E_FORMAT', 'state.samplerStep');
    expectCode(() => head.loadState(null as never), 'E_FORMAT', 'state.samplerStep');
    expectCode(() => head.loadState({ ...head.state(), updateStep: 0.5 }), 'E_FORMAT', 'state.updateStep');
    head.dispose();
  });

  it('refuses the state of another head, and knows states from before margins could adapt', () => {
    const heads = [arcFace(), adaFace(), curricularFace()].map((spec) => makeHead({ margin: spec }));
    const [arc, ada, curricular] = heads;
    const before = ada.state();
    expectCode(
      () => ada.loadState(curricular.state()),
      'E_FORMAT',
      "state.margin.head: expected that of this head, 'adaface'",
    );
    expectCode(() => arc.loadState(ada.state()), 'E_FORMAT', "'arcface', received 'adaface'");
    const old = { samplerStep: 7, updateStep: 5 } as never;
    expectCode(() => ada.loadState(old), 'E_FORMAT', 'state.margin: expected an object, received undefined');
    expect(ada.state()).toEqual(before);
    arc.loadState(old);
    expect(arc.state()).toMatchObject({ samplerStep: 7, updateStep: 5 });
    for (const head of heads) head.dispose();
  });

  it('evaluates with the margin as it stands, and changes nothing of it', async () => {
    const [points, labels] = clusters(28, 10, 5, 6);
    for (const spec of [
      adaFace(),
      curricularFace(),
      elasticFace(),
      ...['magFace', 'sphereFace', 'adaCos'].map((name) => headCases[name].spec),
    ]) {
      const engine = makeHead({ margin: spec, stddev: 1 });
      const tfjs = new MarginHead({ classes: 12, dim: 6, margin: spec, seed: 3, stddev: 1 });
      for (const head of [engine, tfjs]) head.loss(points, labels).dispose();
      const state = engine.state();
      const { loss } = await engine.evaluate(points, labels);
      const value = tf.tidy(() => tfjs.evaluate(points, labels).dataSync()[0]);
      expect(Math.abs(loss - value) / value, spec.name).toBeLessThan(1e-5);
      const [logits, others] = [await engine.logits(points), tfjs.logits(points)];
      expect(maxDifference(logits.dataSync(), others.dataSync())).toBeLessThan(1e-3);
      expect(engine.state()).toEqual(state);
      const before = tfjs.state();
      expect(before.head).toBe(spec.name);
      expect(JSON.stringify(tfjs.state())).toBe(JSON.stringify(before));
      tf.dispose([logits, others]);
      engine.dispose();
      tfjs.dispose();
    }
    points.dispose();
  });

  it('an update by promise that fails leaves everything as it was', async () => {
    const head = makeHead();
    head.loss(tf.ones([2, 6]), [0, 1]).dispose();
    const before = head.state();
    await expect(head.updateAsync({ learningRate: -1 })).rejects.toMatchObject({ code: 'E_RANGE' });
    expect(head.state()).toEqual(before);
    expect(head.pending).toBe(1);
    await head.updateAsync(SGD);
    expect(head.state()).toEqual({ ...before, updateStep: 1 });
    head.dispose();
  });

  it('leaves no tensors behind where logits fail', async () => {
    const head = makeHead({ margin: sphereFace() });
    const x = tf.fill([2, 6], NaN);
    const before = tf.memory().numTensors;
    await expect(head.logits(x)).rejects.toMatchObject({ code: 'E_NONFINITE' });
    expect(tf.memory().numTensors).toBe(before);
    x.dispose();
    head.dispose();
  });

  it('leaves no tensors behind, whatever the margin', () => {
    const [points, labels] = clusters(29, 10, 5, 6);
    const specs: MarginSpec[] = Object.values(headCases).map(({ spec }) => spec);
    for (const spec of specs) {
      const head = makeHead({ margin: spec, classes: SHAPE.classes });
      head.loss(points, labels).dispose();
      const before = tf.memory().numTensors;
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => head.loss(x as tf.Tensor2D, labels))(points);
      tf.dispose([value, grad]);
      head.loss(points, labels).dispose();
      expect(tf.memory().numTensors, spec.name).toBe(before);
      head.dispose();
    }
    points.dispose();
  });

  it('takes nothing of a batch that fails into the margin', () => {
    for (const spec of [adaFace(), curricularFace(), elasticFace(), magFace(), sphereFace()]) {
      const head = makeHead({ margin: spec });
      const before = head.state();
      for (const wrong of [NaN, Infinity]) {
        expectCode(() => head.loss(tf.fill([2, 6], wrong) as tf.Tensor2D, [0, 1]), 'E_NONFINITE', 'embeddings');
      }
      expect(head.state()).toEqual(before);
      expect(head.pending).toBe(0);
      head.dispose();
    }
  });

  it('passes per-sample parameters on', () => {
    const head = makeHead();
    const [points, labels] = clusters(27, 4, 4, 6);
    const values = Float32Array.from([16, 1, 0.3, 0, 8, 1, 0.1, 0.2, 32, 1.2, 0, 0, 16, 1, 0.5, 0]);
    const centers = { classes: 12, subCenters: 1, dim: 6, firstClass: 0, weights: weightsOf(head) };
    const batch = { embeddings: points.dataSync(), labels, rule: margin, rowParameters: values };
    const actual = tf.tidy(() => head.loss(points, labels, tf.tensor2d(values, [4, 4])).dataSync()[0]);
    expect(actual).toBeCloseTo(forward([centers], batch).loss, 4);
    const adaptive = makeHead({ margin: adaFace() });
    const rows = tf.tensor2d(values, [4, 4]);
    const expected = "rowParameters: expected none: the margin 'adaface' makes its own";
    expectCode(() => adaptive.loss(points, labels, rows), 'E_RANGE', expected);
    tf.dispose([points, rows]);
    adaptive.dispose();
    head.dispose();
  });

  it('says what memory it needs', () => {
    const head = makeHead({ classes: 1000, dim: 64 });
    const plan = head.plan(32);
    expect(plan.fits).toBe(true);
    expect(plan.persistentBytes).toBeGreaterThanOrEqual(2 * 4 * 1000 * 64);
    head.dispose();
  });

  it('disposed during an update, frees its steps though the device is another’s', async () => {
    const device = openDevice('cpu');
    const head = makeHead({ device });
    head.loss(tf.ones([2, 6]), [0, 1]).dispose();
    const [step] = head['remembered'];
    const update = head.updateAsync(SGD);
    head.dispose();
    await update;
    expect(step.state).toBe('disposed');
    device.dispose();
  });

  it('answers bad input with an error that names it, and remembers nothing of it', () => {
    const head = makeHead();
    const x = tf.ones([2, 6]) as tf.Tensor2D;
    expectCode(() => head.loss(x, [0, 12]), 'E_RANGE', 'labels[1]: expected an integer in [0, 12), received 12');
    expectCode(() => head.loss(x, [0]), 'E_SHAPE', 'labels');
    expectCode(() => head.loss(tf.ones([2, 5]) as tf.Tensor2D, [0, 1]), 'E_SHAPE', 'embeddings: expected [B, 6]');
    expectCode(() => head.loss(tf.fill([2, 6], NaN) as tf.Tensor2D, [0, 1]), 'E_NONFINITE', 'embeddings');
    expectCode(() => head.loss(tf.ones([2, 6], 'int32') as tf.Tensor2D, [0, 1]), 'E_DTYPE', 'embeddings');
    expect(head.pending).toBe(0);
    const fresh = { samplerStep: 0, updateStep: 0, margin: { head: 'arcface', adaptations: [] } };
    expect(head.state()).toEqual(fresh);
    head.loss(x, [0, 1]).dispose();
    const before = weightsOf(head);
    expectCode(() => head.update({ learningRate: -1 }), 'E_RANGE', 'learningRate');
    expect(head.pending).toBe(1);
    expect(weightsOf(head)).toEqual(before);
    expectCode(() => makeHead({ rate: 0 }), 'E_RANGE', 'rate');
    expectCode(() => makeHead({ rate: 1.5 }), 'E_RANGE', 'rate');
    expectCode(() => makeHead({ unsampled: 'lost' as 'frozen' }), 'E_RANGE', 'unsampled');
    expectCode(() => makeHead({ margin: undefined as never }), 'E_RANGE', 'margin: expected an object');
    expectCode(() => makeHead({ centers: {} as never } as object), 'E_RANGE', 'centers: expected ClassCenters');
    expectCode(() => makeHead({ classes: 2 ** 31 - 1, dim: 4096 }), 'E_MEMORY', 'classes');
    expectCode(() => makeHead({ classes: 0 }), 'E_RANGE', 'classes');
    expectCode(() => makeHead({ dim: 5000 }), 'E_RANGE', 'dim');
    expectCode(() => makeHead({ seed: -1 }), 'E_RANGE', 'seed');
    expectCode(() => makeHead({ margin: { ...margin, m2: 3 } }), 'E_RANGE', 'margin.m2');
    const wrong = classVariant({ counts: [1, 2, 3] });
    expectCode(() => makeHead({ margin: wrong }), 'E_SHAPE', "margins: expected one for each of the head's 12 classes");
    head.dispose();
    head.dispose();
    expectCode(() => head.loss(x, [0, 1]), 'E_DISPOSED', '');
    expectCode(() => head.update({ learningRate: 0.1 }), 'E_DISPOSED', 'PartialFC');
    x.dispose();
  });
});
