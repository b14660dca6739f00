import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  adaCos,
  adaFace,
  arcFace,
  classCosines,
  curricularFace,
  elasticFace,
  magFace,
  MarginHead,
  marginSoftmaxLoss,
  needsNorms,
  type MarginSpec,
} from '../dist/index.js';
import { ClassCosines, marginLoss, type ClassCosinesConfig } from '../dist/layers/index.js';
import { clusters, expectCode, maxDifference } from './support.js';

beforeAll(() => tf.setBackend('cpu'));
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const CLASSES = 5;

/** [B, 8] → embeddings [B, 4] → cosines; starts from the same numbers each time. */
function toyModel(config: Partial<ClassCosinesConfig> = {}): tfl.Sequential {
  const kernelInitializer = tfl.initializers.glorotNormal({ seed: 3 });
  return tfl.sequential({
    layers: [
      tfl.layers.dense({ units: 4, inputShape: [8], kernelInitializer, useBias: false }),
      new ClassCosines({ units: CLASSES, seed: 7, ...config }),
    ],
  });
}

function toyData(count = 40): { x: tf.Tensor2D; labels: Int32Array; y: tf.Tensor2D } {
  const [x, labels] = clusters(21, count, CLASSES, 8);
  return { x, labels, y: tf.tensor2d(labels, [count, 1], 'int32') };
}

const oneHot = (labels: Int32Array) =>
  tf.tensor2d(Array.from(labels, (label) => Array.from({ length: CLASSES }, (_, j) => Number(j === label))));

const numberOf = (value: unknown) => (value as tf.Scalar).dataSync()[0]!;

describe('ClassCosines', () => {
  it.each([1, 3])('gives the cosines of MarginHead with the same seed, K = %i', (subCenters) => {
    const { x } = toyData();
    const model = tfl.sequential({
      layers: [new ClassCosines({ units: CLASSES, subCenters, seed: 9, inputShape: [8] } as ClassCosinesConfig)],
    });
    const head = new MarginHead({ classes: CLASSES, dim: 8, subCenters, seed: 9, margin: arcFace({ scale: 1 }) });
    expect((model.predict(x) as tf.Tensor).dataSync()).toEqual(head.logits(x).dataSync());
    expect(model.getWeights()[0]!.shape).toEqual(head.centers.shape);
  });

  it('can be the whole model, over embeddings that are there already', () => {
    const { x } = toyData();
    const layer = new ClassCosines({ units: CLASSES, seed: 7, inputShape: [8] });
    const predicted = tfl.sequential({ layers: [layer] }).predict(x) as tf.Tensor;
    expect(predicted.dataSync()).toEqual(classCosines(x, layer.getWeights()[0]!).dataSync());
  });

  it('gives the norm last where it is asked for', () => {
    const x = tf.tensor2d([3, 4, 0, 0, 1, -2, 2, 0], [2, 4]);
    const layer = new ClassCosines({ units: 3, withNorm: true });
    const columns = (layer.apply(x) as tf.Tensor2D).arraySync();
    expect(columns.map((row) => row.length)).toEqual([4, 4]);
    expect(columns.map((row) => row[3])).toEqual([5, 3]);
  });

  it('refuses options and inputs by name', () => {
    const make = (config: object) => () => new ClassCosines(config as ClassCosinesConfig);
    expectCode(make({}), 'E_RANGE', 'units: expected an integer ≥ 1, received undefined');
    expectCode(make({ units: 3, subCenters: 0 }), 'E_RANGE', 'subCenters');
    expectCode(make({ units: 3, seed: 0.5 }), 'E_RANGE', 'seed');
    expectCode(make({ units: 3, stddev: -1 }), 'E_RANGE', 'stddev');
    expectCode(make({ units: 3, withNorm: 'yes' }), 'E_RANGE', 'withNorm');
    expectCode(() => new ClassCosines({ units: 3 }).apply(tf.zeros([2, 3, 4])), 'E_SHAPE', 'input of ClassCosines');
  });
});

describe('marginLoss', () => {
  const specs: MarginSpec[] = [
    arcFace({ scale: 16 }),
    curricularFace({ scale: 16 }),
    adaCos({ classes: CLASSES }),
    elasticFace({ scale: 16, seed: 5 }),
    adaFace({ scale: 16 }),
    magFace({ scale: 16, lowerNorm: 1, upperNorm: 10 }),
  ];

  it.each(specs)('is the loss of the head, as are its gradients: $name', (spec) => {
    const { x, labels, y } = toyData();
    const model = toyModel({ subCenters: 2, withNorm: needsNorms(spec) });
    const loss = marginLoss(spec, { classes: CLASSES });
    const kernel = model.getWeights()[0] as tf.Tensor2D;
    const head = new MarginHead({ classes: CLASSES, dim: 4, subCenters: 2, seed: 7, margin: spec });
    const byLayer = tf.variableGrads(() => tf.mean(loss(y, model.apply(x) as tf.Tensor)));
    const byHead = tf.grad((k) => head.loss(tf.matMul(x, k as tf.Tensor2D), labels))(kernel);
    head.loadState(marginLoss(spec, { classes: CLASSES }).state());
    const headCenters = tf.variableGrads(() => head.loss(tf.matMul(x, kernel), labels), [head.centers as tf.Variable]);
    const gradients = Object.values(byLayer.grads);
    expect(numberOf(byLayer.value)).toBeCloseTo(numberOf(headCenters.value), 4);
    expect(maxDifference(gradients[0]!.dataSync(), byHead.dataSync())).toBeLessThan(1e-4);
    const expected = Object.values(headCenters.grads)[0]!.dataSync();
    // Centres of length 0.02: gradients of a hundred.
    const largest = Math.max(...Array.from(expected, Math.abs));
    expect(largest).toBeGreaterThan(1);
    expect(maxDifference(gradients[1]!.dataSync(), expected)).toBeLessThan(1e-4 * largest);
  });

  it('gives a loss for each sample, whose mean is that of marginSoftmaxLoss', () => {
    const { x, labels, y } = toyData(10);
    const loss = marginLoss(arcFace({ scale: 16 }), { classes: CLASSES });
    const each = loss(y, toyModel().predict(x) as tf.Tensor);
    expect(each.shape).toEqual([10]);
    const [kernel, centers] = toyModel().getWeights() as [tf.Tensor2D, tf.Tensor2D];
    const mean = marginSoftmaxLoss(tf.matMul(x, kernel), centers, labels, arcFace({ scale: 16 }));
    expect(numberOf(tf.mean(each))).toBeCloseTo(numberOf(mean), 4);
  });

  it('takes class indices and one-hot rows of any dtype for the same', () => {
    const { x, labels, y } = toyData(10);
    const loss = marginLoss(arcFace(), { classes: CLASSES });
    const predicted = toyModel().predict(x) as tf.Tensor;
    const forms = [y, tf.cast(y, 'float32'), tf.tensor1d(labels), oneHot(labels), tf.cast(oneHot(labels), 'bool')];
    const [first, ...others] = forms.map((form) => loss(form, predicted).dataSync());
    for (const other of others) expect(other).toEqual(first);
    expect(loss.accuracy(oneHot(labels), predicted).dataSync()).toEqual(loss.accuracy(y, predicted).dataSync());
  });

  it('refuses wrong labels, outputs and states by name', () => {
    const { x, y, labels } = toyData(2);
    const loss = marginLoss(arcFace(), { classes: CLASSES });
    const predicted = toyModel().predict(x) as tf.Tensor;
    const lossOf = (yTrue: tf.Tensor) => () => loss(yTrue, predicted);
    expectCode(lossOf(tf.tensor1d([0, CLASSES])), 'E_RANGE', `labels[1]: expected an integer in [0, ${CLASSES})`);
    expectCode(lossOf(tf.tensor1d([0.5, 0])), 'E_RANGE', 'labels[0]');
    expectCode(lossOf(tf.zeros([3, 1])), 'E_SHAPE', 'yTrue: expected class indices [2, 1] or one-hot rows [2, 5]');
    expectCode(lossOf(tf.zeros([2, 4])), 'E_SHAPE', 'yTrue');
    for (const row of [
      [0.5, 0.5, 0, 0, 0],
      [0, 0, 0, 0, 0],
      [1, 1, 0, 0, 0],
      [1, -1, 1, 0, 0],
      [1, NaN, 0, 0, 0],
    ]) {
      expectCode(lossOf(tf.tensor2d([[1, 0, 0, 0, 0], row])), 'E_RANGE', 'yTrue[1]: expected one 1 among zeros');
    }
    expectCode(() => loss(y, tf.zeros([2, 6])), 'E_SHAPE', 'yPred: expected [B, 5]');
    const magnitude = marginLoss(magFace(), { classes: CLASSES });
    expectCode(() => magnitude(y, predicted), 'E_SHAPE', 'make ClassCosines with units: 5, withNorm: true');
    expectCode(() => marginLoss(arcFace(), { classes: 0 }), 'E_RANGE', 'classes');
    expectCode(() => marginLoss({ ...arcFace(), m2: 9 }, { classes: 2 }), 'E_RANGE', 'margin.m2');
    expectCode(() => magnitude.loadState(loss.state()), 'E_FORMAT', 'state.margin.head');
    expect(labels.length).toBe(2);
  });
});

describe('model.compile and model.fit', () => {
  it.each([
    { spec: arcFace({ scale: 16, margin: 0.3 }), subCenters: 2, asOneHot: false },
    { spec: arcFace({ scale: 16, margin: 0.3 }), subCenters: 1, asOneHot: true },
    { spec: curricularFace({ scale: 16, margin: 0.3 }), subCenters: 1, asOneHot: false },
  ])('train: $spec.name, K = $subCenters, one-hot $asOneHot', async ({ spec, subCenters, asOneHot }) => {
    const { x, labels, y } = toyData();
    const model = toyModel({ subCenters });
    const loss = marginLoss(spec, { classes: CLASSES });
    model.compile({ optimizer: tf.train.adam(0.05), loss, metrics: [loss.accuracy] });
    const { history } = await model.fit(x, asOneHot ? oneHot(labels) : y, { epochs: 15, batchSize: 10, verbose: 0 });
    const losses = history['loss'] as number[];
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 4);
    expect(history['accuracy']!.at(-1)).toBeGreaterThan(0.95);
    const nearest = tf.argMax(model.predict(x) as tf.Tensor2D, 1).dataSync();
    expect(Array.from(nearest).filter((label, i) => label === labels[i]).length).toBeGreaterThan(37);
  });

  it('train a margin that follows the norm, with its penalty', async () => {
    const { x, y } = toyData();
    const spec = magFace({ scale: 16, lowerNorm: 1, upperNorm: 10, regularizer: 5 });
    const model = toyModel({ withNorm: true });
    const loss = marginLoss(spec, { classes: CLASSES });
    model.compile({ optimizer: tf.train.adam(0.05), loss, metrics: [loss.accuracy] });
    const { history } = await model.fit(x, y, { epochs: 40, batchSize: 40, verbose: 0 });
    const head = new MarginHead({ classes: CLASSES, dim: 4, seed: 7, margin: spec });
    const kernel = toyModel().getWeights()[0] as tf.Tensor2D;
    const first = numberOf(head.loss(tf.matMul(x, kernel), Int32Array.from(y.dataSync())));
    expect(history['loss']![0]).toBeCloseTo(first, 3);
    expect(history['loss']!.at(-1)).toBeLessThan(first / 2);
    expect(history['accuracy']!.at(-1)).toBeGreaterThan(0.95);
  });

  it('move the state of a margin that adapts once a training batch, and not in validation', async () => {
    const { x, labels, y } = toyData();
    const spec = curricularFace({ scale: 16 });
    const model = toyModel();
    const loss = marginLoss(spec, { classes: CLASSES });
    model.compile({ optimizer: tf.train.sgd(1e-12), loss });
    const before = loss.state();
    tf.dispose(model.evaluate(x, y));
    expect(loss.state()).toEqual(before);
    const cosines = (model.predict(x) as tf.Tensor2D).arraySync();
    await model.fit(x, y, { epochs: 2, batchSize: 20, verbose: 0, shuffle: false, validationData: [x, y] });
    let t = 0;
    for (const start of [0, 20, 0, 20]) {
      const mean = cosines.slice(start, start + 20).reduce((sum, row, i) => sum + row[labels[start + i]!]!, 0) / 20;
      t = 0.01 * mean + 0.99 * t;
    }
    expect(Math.abs(t)).toBeGreaterThan(1e-4);
    const [{ t: learnt }] = loss.state().adaptations as unknown as [{ t: number }];
    expect(learnt).toBeCloseTo(t, 6);

    const resumed = marginLoss(spec, { classes: CLASSES });
    resumed.loadState(JSON.parse(JSON.stringify(loss.state())) as ReturnType<typeof loss.state>);
    const predicted = model.predict(x) as tf.Tensor;
    expect(resumed(y, predicted).dataSync()).toEqual(loss(y, predicted).dataSync());
  });

  it('leave no tensors behind', () => {
    const { x, y } = toyData();
    const model = toyModel({ withNorm: true });
    const loss = marginLoss(magFace(), { classes: CLASSES });
    const before = tf.memory().numTensors;
    const { value, grads } = tf.variableGrads(() => tf.mean(loss(y, model.apply(x) as tf.Tensor)));
    tf.dispose([value, grads]);
    loss.accuracy(y, tf.ones([40, CLASSES + 1])).dispose();
    expect(tf.memory().numTensors).toBeLessThanOrEqual(before + 1);
  });
});

describe('a saved model', () => {
  it.each([
    { subCenters: 1, withNorm: false },
    { subCenters: 3, withNorm: true },
  ])('loads with the same predictions: $subCenters, $withNorm', async (config) => {
    const { x, y } = toyData();
    const model = toyModel(config);
    const spec = config.withNorm ? magFace() : arcFace();
    const loss = marginLoss(spec, { classes: CLASSES });
    model.compile({ optimizer: 'sgd', loss });
    await model.fit(x, y, { epochs: 1, verbose: 0 });
    let artifacts: tf.io.ModelArtifacts | undefined;
    await model.save(
      tf.io.withSaveHandler(async (saved) => {
        artifacts = saved;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      }),
    );
    // What a file would hold.
    const topology = JSON.parse(JSON.stringify(artifacts!.modelTopology)) as object;
    const loaded = await tfl.loadLayersModel(tf.io.fromMemory({ ...artifacts, modelTopology: topology }));
    expect((loaded.predict(x) as tf.Tensor).dataSync()).toEqual((model.predict(x) as tf.Tensor).dataSync());
    const layer = loaded.layers.at(-1) as ClassCosines;
    expect(layer).toBeInstanceOf(ClassCosines);
    expect(layer.getConfig()).toMatchObject({ units: CLASSES, seed: 7, stddev: 0.01, ...config });
    loaded.compile({ optimizer: 'sgd', loss: marginLoss(spec, { classes: CLASSES }) });
    expect(numberOf(loaded.evaluate(x, y))).toBeCloseTo(numberOf(model.evaluate(x, y)), 5);
  });
});
