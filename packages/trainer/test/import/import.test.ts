import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { loadModelFolder, readModelWeights, writeSafetensors } from '../../dist/checkpoint/index.js';
import { describeFolder } from '../../dist/checkpoint/manifest.js';
import { checkConfig, formatConfig } from '../../dist/config/index.js';
import { exportModel } from '../../dist/export/index.js';
import { importModel } from '../../dist/import/index.js';
import { type StateDict, withStateDict } from '../../dist/import/stateDict.js';
import { startBackbone } from '../../dist/train/startingWeights.js';
import { backends, useBackend } from '../layers/backends.js';

const vector = (name: string): string => join(import.meta.dirname, 'vectors', name);
interface Expected {
  embeddings: number[][];
  small: Record<string, { shape: number[]; values: number[] }>;
}
const expected = JSON.parse(readFileSync(vector('expected.json'), 'utf8')) as Expected;
const backend = backends[backends.length - 1]!;
const [SIZE, BACKBONE] = [32, 'iresnet10-w16'];

let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(() => useBackend(backend));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-import-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const load = (weights: string, out = 'model', settings = {}) =>
  importModel({ weights, out: at(out), backbone: BACKBONE, inputSize: SIZE, backend, log: () => {}, ...settings });
type Tensors = Record<string, { shape: readonly number[]; values: Float32Array; dtype: string }>;
const readTensors = (path: string): Promise<Tensors> =>
  withStateDict(path, ({ tensors }: StateDict) => {
    const floats = [...tensors].filter(([, { dtype }]) => /float/.test(dtype));
    const entries = floats.map(([name, { shape, dtype, read }]) => [
      name,
      { shape, dtype, values: read.call(tensors.get(name)) },
    ]);
    return Promise.resolve(Object.fromEntries(entries) as Tensors);
  });

/** The images of make_vectors.py, [2, S, S, 3]. */
function images(): tf.Tensor4D {
  const values = Float32Array.from({ length: 2 * 3 * SIZE * SIZE }, (_, i) => Math.sin(0.37 * i * i));
  return tf.transpose(tf.tensor4d(values, [2, 3, SIZE, SIZE]), [0, 2, 3, 1]);
}

describe('importModel of a vision transformer', () => {
  const outputs = JSON.parse(readFileSync(vector('vit.json'), 'utf8')) as Record<'relu6' | 'gelu', number[][]>;
  const embed = async (folderName: string) =>
    ((await loadModelFolder(at(folderName))).predict(images()) as tf.Tensor2D).arraySync();

  it("gives PyTorch's embeddings with ReLU6, and with the activation that is asked for", async () => {
    for (const activation of [undefined, 'gelu'] as const) {
      const name = activation ?? 'relu6';
      await load(vector('vit.pt'), name, { backbone: 'vit-t', ...(activation && { activation }) });
      const embeddings = await embed(name);
      for (const [i, row] of outputs[name].entries()) {
        expect(embeddings[i]).toEqual(row.map((value) => expect.closeTo(value, 4)));
      }
    }
    expect(Math.abs(outputs.gelu[0]![2]! - outputs.relu6[0]![2]!)).toBeGreaterThan(0.5);

    // Both have the same weights: training from them must have the same activation.
    const shape = (activation?: 'gelu') =>
      checkConfig(
        { name: 'x', data: { root: 'r', imageSize: SIZE }, backbone: { name: 'vit-t', embeddingSize: 8, activation } },
        'test',
      );
    const model = await loadModelFolder(at('gelu'));
    await startBackbone(model, at('gelu'), shape('gelu'));
    await expect(startBackbone(model, at('gelu'), shape())).rejects.toThrow(
      /E_RANGE: backbone\.weights: expected weights of backbone\.activation relu6, received gelu in .*; give backbone\.activation=gelu/,
    );
    await expect(startBackbone(model, at('relu6'), shape('gelu'))).rejects.toThrow(
      /expected weights of backbone\.activation gelu, received relu6/,
    );
    // A checkpoint's configuration says it.
    const checkpoint = at('checkpoint');
    mkdirSync(checkpoint);
    writeSafetensors(join(checkpoint, 'backbone.safetensors'), readModelWeights(model));
    writeFileSync(join(checkpoint, 'config.yaml'), formatConfig(shape('gelu')));
    writeFileSync(join(checkpoint, 'manifest.json'), JSON.stringify(await describeFolder(checkpoint, 1, null)));
    await startBackbone(model, checkpoint, shape('gelu'));
    await expect(startBackbone(model, checkpoint, shape())).rejects.toThrow(/relu6, received gelu in/);
  });

  it('takes an activation for no other network', async () => {
    await expect(load(vector('iresnet.pt'), 'model', { activation: 'gelu' })).rejects.toThrow(
      /E_RANGE: activation: expected only with vit-t, .*, received gelu with iresnet10-w16/,
    );
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('importModel', () => {
  it("gives PyTorch's embeddings, of arcface_torch's training checkpoint", async () => {
    const result = await load(vector('iresnet.pt'));
    expect(result).toMatchObject({
      tensors: 91,
      dtypes: ['float16'],
      embeddingSize: 8,
      notes: ["taken from 'state_dict_backbone'", "'module.' taken off the names"],
    });
    const model = await loadModelFolder(at('model'));
    const embeddings = (model.predict(images()) as tf.Tensor2D).arraySync();
    for (const [i, row] of expected.embeddings.entries()) {
      expect(embeddings[i]).toEqual(row.map((value) => expect.closeTo(value, 4)));
    }
    expect(Math.max(...expected.embeddings.flat())).toBeGreaterThan(5);
  });

  it('and back gives the state dict that PyTorch had: every name, shape and value', async () => {
    await load(vector('iresnet.pt'));
    await exportModel({
      source: at('model'),
      out: at('again.safetensors'),
      format: 'safetensors',
      backend,
      log: () => {},
    });
    expect(await readTensors(at('again.safetensors'))).toEqual(
      Object.fromEntries(
        Object.entries(await readTensors(vector('iresnet.pt'))).map(([name, tensor]) => [
          name,
          { ...tensor, dtype: 'float32' },
        ]),
      ),
    );
    const counters = (path: string) =>
      withStateDict(path, ({ tensors }) =>
        Promise.resolve(
          [...tensors].filter(([, { dtype }]) => dtype === 'int64').map(([name, { shape }]) => [name, shape]),
        ),
      );
    const written = await counters(at('again.safetensors'));
    expect(written).toHaveLength(18);
    expect(written.sort()).toEqual((await counters(vector('iresnet.pt'))).sort());
    // And once more from what was exported.
    await load(at('again.safetensors'), 'third');
    expect(readFileSync(join(at('third'), 'weights.bin')).equals(readFileSync(join(at('model'), 'weights.bin')))).toBe(
      true,
    );
  });

  it('names what is missing, superfluous or of another shape, and leaves nothing behind', async () => {
    const tensors = await readTensors(vector('iresnet.pt'));
    const refused = async (message: RegExp, change: (tensors: Tensors) => void, settings = {}) => {
      const changed = { ...tensors };
      change(changed);
      writeSafetensors(at('w.safetensors'), new Map(Object.entries(changed)));
      await expect(load(at('w.safetensors'), 'model', settings)).rejects.toThrow(message);
      rmSync(at('w.safetensors'));
      expect(readdirSync(folder)).toEqual([]);
    };
    await refused(
      /E_FORMAT: .*iresnet10-w16, received one without layer1.0.conv1.weight;/,
      (t) => delete t['layer1.0.conv1.weight'],
    );
    await refused(/with other besides/, (t) => (t['other'] = t['bn1.bias']!));
    await refused(/with fc.weight \[8, 512\] in place of \[8, 128\]/, () => {}, { inputSize: 16 });
    await refused(/with fc.weight \[8, 512\] in place of \[4, 512\], fc.bias \[8\] in place of \[4\]/, () => {}, {
      embeddingSize: 4,
    });
    await refused(/expected the state dict of mobilefacenet, received one without features\.layers\.3/, () => {}, {
      backbone: 'mobilefacenet',
    });
    await refused(/E_NONFINITE: .*fc.bias: .*received NaN at element 2/, (t) => {
      const values = t['fc.bias']!.values.slice();
      values[2] = NaN;
      t['fc.bias'] = { ...t['fc.bias']!, values };
    });
    await refused(/E_DTYPE: .*fc.bias: expected weights of float16/, (t) => {
      t['fc.bias'] = { ...t['fc.bias']!, values: new Int32Array(8) as unknown as Float32Array };
    });
    await refused(/E_RANGE: name: expected one of/, () => {}, { backbone: 'resnet' });
  });

  it('does not overwrite, and runs nothing', async () => {
    await expect(load(vector('iresnet.pt'), '.')).rejects.toThrow(
      /E_RANGE: out: expected a folder that is not there yet/,
    );
    await expect(load(vector('code.pt'))).rejects.toThrow(
      /E_FORMAT: .*code\.pt: data\.pkl: .*asks for code, "posix\.system"/,
    );
    await expect(load(vector('deflated.pt'))).rejects.toThrow(/files stored plainly, .*received a compressed/);
    copyFileSync(vector('iresnet.pt'), at('w.onnx'));
    await expect(load(at('w.onnx'))).rejects.toThrow(/received ONNX/);
    await expect(load(vector('small.pt'))).rejects.toThrow(/without features.running_var/);
    expect(existsSync(at('model'))).toBe(false);
  });
});

describe('state dicts', () => {
  it.each(['small.pt', 'small_legacy.pt', 'small.safetensors'])(
    '%s: tensors of all types of weights, and views',
    async (name) => {
      const tensors = await readTensors(vector(name));
      const floats = Object.entries(expected.small).filter(([key]) => key !== 'counter');
      expect(floats.length).toBeGreaterThan(6);
      for (const [key, { shape, values }] of floats) {
        expect([key, tensors[key]!.shape, [...tensors[key]!.values]]).toEqual([key, shape, values]);
      }
      if (name.endsWith('.pt')) expect(tensors['parameter']!.values).toEqual(tensors['float']!.values);
    },
  );

  it('are not mistaken for other files', async () => {
    const reading = (bytes: Uint8Array | string) => {
      writeFileSync(at('w.pt'), bytes);
      return expect(readTensors(at('w.pt'))).rejects;
    };
    await reading('').toThrow(/E_FORMAT/);
    await reading('PK').toThrow(/E_FORMAT: .*end record is missing/);
    await reading(Buffer.from([0x80, 2, 0x4e, 0x2e])).toThrow(
      /E_FORMAT: .*expected a file of torch.save, received another pickle/,
    );
    await reading(readFileSync(vector('iresnet.pt')).subarray(0, 40_000)).toThrow(/E_FORMAT: .*may be cut short/);
  });

  it('that were damaged are refused', async () => {
    const bytes = readFileSync(vector('iresnet.pt'));
    // Within the first storage, which begins at a multiple of 64.
    bytes[bytes.indexOf('/data/0') + 200]! ^= 1;
    writeFileSync(at('w.pt'), bytes);
    await expect(readTensors(at('w.pt'))).rejects.toThrow(
      /data\/0 as it was written, received other bytes \(CRC-32 differs\)/,
    );
  });
});
