import { createHash } from 'node:crypto';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';

import { createBackbone, describeBackbone, timeBackbone } from '../../dist/backbones/index.js';
import { SgdMomentum } from '../../dist/optim/index.js';
import { backends, relativeError, useBackend, values } from '../layers/backends.js';

const images = (batch: number, size: number) => tf.tensor4d(values(batch * size * size * 3, 1), [batch, size, size, 3]);

const count = (weights: tfl.LayerVariable[]) => weights.reduce((sum, w) => sum + w.read().size, 0);
/** A digest of all weights, to compare networks bit by bit. */
function digest(model: tfl.LayersModel): string {
  const hash = createHash('sha256');
  for (const weight of model.weights) hash.update(weight.read().dataSync());
  return hash.digest('hex');
}

const rootMeanSquare = (data: ArrayLike<number>) => {
  let squares = 0;
  for (let i = 0; i < data.length; i++) squares += data[i]! ** 2;
  return Math.sqrt(squares / data.length);
};

describe.each(backends)('createBackbone on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it('embeds a batch, deterministically by its seed', () => {
    const options = { name: 'mobilefacenet', inputSize: 16, embeddingSize: 8 };
    const [a, b, c] = [1, 1, 2].map((seed) => createBackbone({ ...options, seed })) as [
      tfl.LayersModel,
      tfl.LayersModel,
      tfl.LayersModel,
    ];
    const embeddings = a.predict(images(2, 16)) as tf.Tensor;
    expect(embeddings.shape).toEqual([2, 8]);
    expect(embeddings.dataSync().every(Number.isFinite)).toBe(true);
    expect(digest(b)).toEqual(digest(a));
    expect(digest(c)).not.toEqual(digest(a));
  });
});

describe('createBackbone', () => {
  const backend = backends[backends.length - 1]!;
  beforeAll(async () => {
    await useBackend(backend);
  });

  it.each(['mobilefacenet', 'iresnet18'])('builds %s with the planned number of weights', (name) => {
    const options = { inputSize: 16, embeddingSize: 8 };
    const model = createBackbone({ name, ...options });
    expect(count(model.trainableWeights)).toBe(describeBackbone(name, options).trainableParameters);
    model.dispose();
  });

  it('draws initial weights of the field’s distributions', () => {
    const model = createBackbone({ name: 'iresnet18', inputSize: 32, embeddingSize: 64, seed: 5 });
    const stddev = (layer: string) => rootMeanSquare(model.getLayer(layer).trainableWeights[0]!.read().dataSync());
    expect(stddev('stage2/block2/conv1')).toBeCloseTo(0.1, 3);
    expect(stddev('head/fc')).toBeCloseTo(1 / Math.sqrt(3 * 4 * 512), 4);
    model.dispose();
    const mobile = createBackbone({ name: 'mobilefacenet', inputSize: 16, seed: 5 });
    const kernel = mobile.getLayer('stage2/block1/project/conv').trainableWeights[0]!.read().dataSync();
    expect(rootMeanSquare(kernel)).toBeCloseTo(Math.sqrt(2 / 256), 2);
    mobile.dispose();
  });

  it('trains: gradients reach every trainable weight, running statistics move once, nothing leaks', () => {
    const model = createBackbone({ name: 'iresnet18', inputSize: 16, embeddingSize: 8, dropout: 0.2, seed: 1 });
    const x = images(4, 16);
    const variables = model.trainableWeights.map((w) => w.read() as tf.Variable);
    const step = () => {
      const { value, grads } = tf.variableGrads(() => {
        const y = model.apply(x, { training: true }) as tf.Tensor2D;
        return tf.sum(tf.mul(y, tf.tensor2d(values(32, 3), [4, 8]))) as tf.Scalar;
      }, variables);
      const norms = Object.values(grads).map((g) => tf.tidy(() => tf.norm(g).dataSync()[0]!));
      tf.dispose([value, grads]);
      return norms;
    };
    const norms = step();
    expect(norms).toHaveLength(variables.length);
    expect(norms.every(Number.isFinite)).toBe(true);
    expect(norms.filter((n) => n > 0).length).toBeGreaterThan(0.9 * norms.length);
    // The stem's mean after one step is 0.1 of the batch's.
    const stem = tf.tidy(() => {
      const conv = model.getLayer('stem/conv').apply(x) as tf.Tensor;
      return tf.mul(tf.mean(conv, [0, 1, 2]), 0.1).dataSync();
    });
    expect(relativeError(model.getLayer('stem/bn').nonTrainableWeights[0]!.read().dataSync(), stem)).toBeLessThan(1e-4);
    const before = tf.memory().numTensors;
    step();
    tf.dispose(model.predict(x));
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  it('repeats training bit by bit', () => {
    const train = () => {
      const model = createBackbone({ name: 'mobilefacenet', inputSize: 32, embeddingSize: 8, dropout: 0.2, seed: 1 });
      const optimizer = new SgdMomentum({ momentum: 0.9, weightDecay: 5e-4, decayNormAndBias: false });
      const variables = model.trainableWeights.map((w) => w.read() as tf.Variable);
      for (let step = 0; step < 3; step++) {
        const { value, grads } = tf.variableGrads(() => {
          const y = model.apply(images(4, 32), { training: true }) as tf.Tensor2D;
          return tf.sum(tf.mul(y, tf.tensor2d(values(32, 3), [4, 8]))) as tf.Scalar;
        }, variables);
        optimizer.apply(grads, 0.1, { clipNorm: 5 });
        tf.dispose([value, grads]);
      }
      const result = digest(model);
      optimizer.dispose();
      model.dispose();
      return result;
    };
    expect(train()).toBe(train());
  });

  it('survives save and load', async () => {
    const model = createBackbone({ name: 'mobilefacenet', inputSize: 16, embeddingSize: 8, dropout: 0.1, seed: 3 });
    tf.dispose(model.apply(images(2, 16), { training: true }) as tf.Tensor);
    let saved!: tf.io.ModelArtifacts;
    await model.save(
      tf.io.withSaveHandler(async (artifacts) => {
        saved = artifacts;
        return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) };
      }),
    );
    const loaded = await tfl.loadLayersModel(tf.io.fromMemory(saved));
    expect(digest(loaded)).toEqual(digest(model));
    const x = images(2, 16);
    expect([...(loaded.predict(x) as tf.Tensor).dataSync()]).toEqual([...(model.predict(x) as tf.Tensor).dataSync()]);
  });

  it('builds the same network from stock layers', () => {
    const options = { name: 'iresnet18', inputSize: 16, embeddingSize: 8, seed: 4 };
    const fused = createBackbone(options);
    const stock = createBackbone({ ...options, fused: false });
    const x = images(4, 16);
    const [a, b] = [fused, stock].map((model) => (model.apply(x, { training: true }) as tf.Tensor).dataSync());
    expect(relativeError(a!, b!)).toBeLessThan(1e-3);
  });

  it('times fused against stock layers, leaving nothing behind', () => {
    const before = tf.memory().numTensors;
    const timing = timeBackbone({ name: 'iresnet10-w16', inputSize: 16, embeddingSize: 8 }, 2, 1);
    expect(timing).toMatchObject({ name: 'iresnet10-w16', batch: 2, inputSize: 16, backend });
    expect(timing.speedup).toBeCloseTo(timing.stockMs / timing.fusedMs, 6);
    expect(tf.memory().numTensors).toBe(before);
  });
});
