import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { loadModelFolder, saveModelFolder } from '../../dist/checkpoint/index.js';
import { checkEmbeddings } from '../../dist/export/compare.js';
import { exportModel } from '../../dist/export/index.js';
import { readOnnx } from '../../dist/export/onnx/read.js';
import { Activation, FusedBatchNorm, PaddedMaxPool, PReLU, SeededDropout } from '../../dist/layers/index.js';
import { backends, useBackend } from '../layers/backends.js';
import { families, noise, scatter, trained } from './models.js';

let folder: string;
const at = (name: string): string => join(folder, name);
const backend = backends[backends.length - 1]!;
beforeAll(() => useBackend(backend));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-export-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const options = { backend, log: () => {} } as const;
const onnx = async (model: tfl.LayersModel, check = true) => {
  await saveModelFolder(model, at('model'));
  return exportModel({ source: at('model'), out: at('m.onnx'), format: 'onnx', check, ...options });
};

/** A small network of layers that no backbone has together: every order that values can lie in meets every kind of layer. */
function mixedModel(): tfl.LayersModel {
  const image = tfl.input({ shape: [16, 12, 3] });
  const apply = (layer: tfl.layers.Layer, x: tfl.SymbolicTensor | tfl.SymbolicTensor[]) =>
    layer.apply(x) as tfl.SymbolicTensor;
  let x = apply(tfl.layers.conv2d({ filters: 4, kernelSize: 3, padding: 'same', activation: 'relu6' }), image);
  x = apply(
    tfl.layers.zeroPadding2d({
      padding: [
        [1, 0],
        [2, 1],
      ],
    }),
    x,
  );
  x = apply(tfl.layers.depthwiseConv2d({ kernelSize: 3, strides: 2, depthMultiplier: 2, activation: 'relu' }), x);
  const perPixel = apply(tfl.layers.dense({ units: 8, activation: 'sigmoid' }), x);
  x = apply(tfl.layers.add(), [x, perPixel, x]);
  // Values below 0 show that the padding is of zeros.
  x = apply(new PaddedMaxPool({ poolSize: 3, stride: 2, padding: 1 }), x);
  x = apply(new Activation({ function: 'gelu' }), x);
  let flat = apply(tfl.layers.flatten(), x);
  flat = apply(new FusedBatchNorm(), flat);
  flat = apply(new PReLU(), flat);
  const direct = apply(
    tfl.layers.flatten(),
    apply(tfl.layers.conv2d({ filters: 8, kernelSize: 1, useBias: false }), x),
  );
  const both = apply(tfl.layers.add(), [flat, direct]);
  const dropped = apply(new SeededDropout({ rate: 0.5, seed: 1 }), both);
  const output = apply(tfl.layers.batchNormalization({ scale: false }), apply(tfl.layers.dense({ units: 5 }), dropped));
  return scatter(tfl.model({ inputs: image, outputs: output }));
}

describe('ONNX', () => {
  it.each([
    // Of 32 pixels 2×2 are left to flatten: their order shows.
    { name: 'iresnet10-w16', inputSize: 32, embeddingSize: 8, dropout: 0.2 },
    { name: 'mobilefacenet', inputSize: 16, embeddingSize: 8 },
    { name: 'iresnet10-w16', inputSize: 32, embeddingSize: 8, fused: false },
  ])('of %o gives the same embeddings in onnxruntime', async (backbone) => {
    const { checks, description, notes } = await onnx(trained(backbone));
    const size = backbone.inputSize;
    expect(description).toBe(
      `ONNX, opset 17: data [N, 3, ${size}, ${size}] (RGB, (x − 127.5)/127.5) to embedding [N, 8]`,
    );
    expect(notes).toEqual([]);
    expect(checks.map(({ by }) => by)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^onnxruntime-web [\d.]+$/)]),
    );
    for (const { largestDifference, largestValue } of checks) {
      expect(largestDifference).toBeLessThan(1e-5 * Math.max(1, largestValue));
      expect(largestValue).toBeGreaterThan(0.1);
    }
  });

  it.each(Object.keys(families))('of a small %s gives the same embeddings in onnxruntime', async (name) => {
    const { checks } = await onnx(families[name]!());
    expect(checks.length).toBeGreaterThan(1);
    for (const { largestDifference, largestValue } of checks) {
      expect(largestDifference).toBeLessThan(1e-5 * Math.max(1, largestValue));
      expect(largestValue).toBeGreaterThan(0.1);
    }
  });

  it('has no transposition and no dropout in it', async () => {
    await onnx(trained({ name: 'iresnet10-w16', inputSize: 16, embeddingSize: 8, dropout: 0.2 }), false);
    const model = readOnnx(readFileSync(at('m.onnx')));
    const kinds = [...new Set(model.nodes.map(({ opType }) => opType))].sort();
    expect(kinds).toEqual(['Add', 'BatchNormalization', 'Conv', 'Flatten', 'Gemm', 'PRelu']);
    // What insightface's Python package looks for to tell models that scale pixels themselves.
    expect(model.nodes.slice(0, 8).some(({ name }) => /^(Sub|_minus|Mul|_mul)/.test(name))).toBe(false);
  });

  it('takes layers of tfjs in any order of elements', async () => {
    const { checks } = await onnx(mixedModel());
    expect(checks.length).toBeGreaterThan(1);
    for (const { largestDifference } of checks) expect(largestDifference).toBeLessThan(1e-5);
  });

  it('refuses layers it does not know by their names, and writes nothing', async () => {
    const image = tfl.input({ shape: [8, 8, 3] });
    const pooled = tfl.layers.globalAveragePooling1d({ name: 'pool' });
    const reshaped = tfl.layers.reshape({ targetShape: [64, 3], name: 'tokens' }).apply(image) as tfl.SymbolicTensor;
    const model = tfl.model({ inputs: image, outputs: pooled.apply(reshaped) as tfl.SymbolicTensor });
    await expect(onnx(model)).rejects.toThrow(
      /E_RANGE: layer tokens: expected a kind .*HyperArcPaddedConv2D.*received Reshape/,
    );
    const same = tfl.layers.conv2d({ filters: 2, kernelSize: 3, strides: 2, padding: 'same', name: 'far' });
    const flat = tfl.layers.flatten().apply(same.apply(image)) as tfl.SymbolicTensor;
    await expect(onnx(tfl.model({ inputs: image, outputs: flat }))).rejects.toThrow(
      /layer far: .*padding 'same', strides 2×2/,
    );
    const soft = tfl.layers.dense({ units: 2, activation: 'softmax', name: 'soft' });
    const probabilities = soft.apply(tfl.layers.flatten().apply(image)) as tfl.SymbolicTensor;
    await expect(onnx(tfl.model({ inputs: image, outputs: probabilities }))).rejects.toThrow(
      /layer soft: .*received softmax/,
    );
    expect(readdirSync(folder)).toEqual(['model']);
  });

  it('is checked in python3 too, where that has onnxruntime', async ({ skip }) => {
    try {
      execFileSync('python3', ['-c', 'import onnxruntime, numpy'], { stdio: 'ignore' });
    } catch {
      skip('python3 has no onnxruntime');
    }
    const { checks } = await onnx(trained({ name: 'iresnet10-w16', inputSize: 16, embeddingSize: 4 }));
    expect(checks.map(({ by }) => by)).toEqual(expect.arrayContaining([expect.stringContaining('(python3)')]));
  });
});

describe("tfjs's own layers", () => {
  it('of squeeze-and-excitation too; of a vision transformer there are none', async () => {
    const tfjs = async (model: tfl.LayersModel, name: string) => {
      await saveModelFolder(model, at(name));
      return exportModel({ source: at(name), out: at(`${name}.tfjs`), format: 'tfjs', ...options });
    };
    const { checks } = await tfjs(families['IR-SE']!(), 'irse');
    expect(checks[0]!.largestDifference).toBeLessThan(1e-5);
    const mixed = await tfjs(mixedModel(), 'mixed');
    expect(mixed.checks[0]!.largestDifference).toBeLessThan(1e-5);
    const refused = tfjs(families['vision transformer']!(), 'vit');
    await expect(refused).rejects.toThrow(/E_RANGE: layer stem\/patches: .*received HyperArcPatchEmbedding/);
  });

  it.each(['iresnet10-w16', 'mobilefacenet'])(
    'of %s load without this package and give the same embeddings',
    async (name) => {
      const model = trained({ name, inputSize: 16, embeddingSize: 8, dropout: 0.2 });
      await saveModelFolder(model, at('model'));
      const { checks, notes } = await exportModel({
        source: at('model'),
        out: at('plain'),
        format: 'tfjs',
        ...options,
      });
      expect(checks).toHaveLength(1);
      // 64 groups of two channels become one of 128: 3·3·128·(128 − 2) zeros.
      expect(notes).toEqual(
        name === 'mobilefacenet' ? [expect.stringContaining(`${3 * 3 * 128 * 126} zeros more`)] : [],
      );
      expect(readFileSync(join(at('plain'), 'model.json'), 'utf8')).not.toContain('HyperArc');
      const images = noise(3, 16);
      writeFileSync(at('images.json'), JSON.stringify({ shape: images.shape, values: [...images.dataSync()] }));
      const script = fileURLToPath(new URL('load_plain.mjs', import.meta.url));
      const printed = execFileSync(process.execPath, [script, at('plain'), at('images.json')], { encoding: 'utf8' });
      const expected = (model.predict(images) as tf.Tensor).dataSync();
      const check = checkEmbeddings('plain tfjs', expected, JSON.parse(printed) as number[]);
      expect(check.largestDifference).toBeLessThan(1e-5 * Math.max(1, check.largestValue));
      // What was exported can be exported again, to the same weights.
      await exportModel({ source: at('plain'), out: at('again'), format: 'tfjs', ...options });
      const [again, plain] = ['again', 'plain'].map((name) => readFileSync(join(at(name), 'weights.bin')));
      expect(again!.equals(plain!)).toBe(true);
    },
  );

  it('refuse a layer of ours that has none', async () => {
    class HyperArcNew extends tfl.layers.Layer {
      static readonly className = 'HyperArcNew';
    }
    tf.serialization.registerClass(HyperArcNew);
    const image = tfl.input({ shape: [8, 8, 3] });
    const x = new HyperArcNew({ name: 'new' }).apply(image) as tfl.SymbolicTensor;
    const model = tfl.model({ inputs: image, outputs: tfl.layers.flatten().apply(x) as tfl.SymbolicTensor });
    await saveModelFolder(model, at('model'));
    const exported = exportModel({ source: at('model'), out: at('plain'), format: 'tfjs', ...options });
    await expect(exported).rejects.toThrow(/E_RANGE: layer new: .*tfjs's own layers.*received HyperArcNew/);
    expect(readdirSync(folder)).toEqual(['model']);
  });
});

describe('exportModel', () => {
  it('overwrites nothing, and needs a model of images to embeddings', async () => {
    await saveModelFolder(trained({ name: 'iresnet10-w16', inputSize: 16, embeddingSize: 4 }), at('model'));
    writeFileSync(at('there'), '');
    const to = (out: string, source = 'model') =>
      exportModel({ source: at(source), out: at(out), format: 'onnx', ...options });
    await expect(to('there')).rejects.toThrow(/E_RANGE: out: expected a name that is not there yet/);
    await expect(to('new.onnx', 'nowhere')).rejects.toThrow(/E_FORMAT: run: expected a run folder/);
    const vector = tfl.input({ shape: [3] });
    const dense = tfl.layers.dense({ units: 2 }).apply(vector) as tfl.SymbolicTensor;
    await saveModelFolder(tfl.model({ inputs: vector, outputs: dense }), at('vectors'));
    await expect(to('new.onnx', 'vectors')).rejects.toThrow(
      /E_SHAPE: model: expected images .*received \[, 3\] to \[, 2\]/,
    );
    expect(existsSync(at('new.onnx'))).toBe(false);
  });

  it('leaves the tensors as they were', async () => {
    await saveModelFolder(trained({ name: 'iresnet10-w16', inputSize: 16, embeddingSize: 4 }), at('model'));
    const before = tf.memory().numTensors;
    await exportModel({ source: at('model'), out: at('m.onnx'), format: 'onnx', ...options });
    await exportModel({ source: at('model'), out: at('plain'), format: 'tfjs', ...options });
    expect(tf.memory().numTensors).toBe(before);
    (await loadModelFolder(at('plain'))).dispose();
  });
});

describe('checkEmbeddings', () => {
  it('allows 1e-4 of the largest value, and no NaN', () => {
    expect(checkEmbeddings('x', [10, -20], [10.001, -20]).largestDifference).toBeCloseTo(1e-3, 6);
    expect(() => checkEmbeddings('x', [10, -20], [10.0021, -20])).toThrow(
      /E_RANGE: x: expected embeddings within 2.0e-3/,
    );
    expect(() => checkEmbeddings('x', [0.1, 0.2], [0.1, 0.20011])).toThrow(/E_RANGE/);
    expect(() => checkEmbeddings('x', [0.1, 0.2], [NaN, 0.2])).toThrow(/E_RANGE/);
    expect(() => checkEmbeddings('x', [NaN], [0])).toThrow(/E_NONFINITE/);
    expect(() => checkEmbeddings('x', [1, 2], [1])).toThrow(/E_SHAPE/);
  });
});
