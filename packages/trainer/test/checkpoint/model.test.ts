import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { createBackbone } from '../../dist/backbones/index.js';
import { loadModelFolder, saveModelFolder } from '../../dist/checkpoint/modelFolder.js';
import { readModelWeights, writeModelWeights } from '../../dist/checkpoint/modelWeights.js';
import { readSafetensors, writeSafetensors } from '../../dist/checkpoint/safetensors.js';

let folder: string;
beforeAll(async () => {
  tf.env().set('PROD', true);
  await tf.setBackend('cpu');
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-model-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const backbone = (seed: number) =>
  createBackbone({ name: 'mobilefacenet', inputSize: 16, embeddingSize: 8, dropout: 0.1, seed });
const image = () => tf.reshape(tf.sin(tf.range(0, 16 * 16 * 3)), [1, 16, 16, 3]) as tf.Tensor4D;
const embed = (model: ReturnType<typeof backbone>): number[] => [...(model.predict(image()) as tf.Tensor).dataSync()];

describe('model weights', () => {
  it('carry a model over, running statistics and counters included, by names that do not depend on the process', () => {
    const [source, target] = [backbone(1), backbone(2)];
    source.apply(tf.concat([image(), tf.neg(image())]), { training: true });
    expect(embed(target)).not.toEqual(embed(source));
    const path = join(folder, 'w.safetensors');
    writeSafetensors(path, readModelWeights(source));
    writeModelWeights(target, readSafetensors(path));
    expect(embed(target)).toEqual(embed(source));
    expect(readModelWeights(target)).toEqual(readModelWeights(source));
  });

  it('refuse those of another model and then change nothing', () => {
    const model = backbone(1);
    const before = embed(model);
    const tensors = readModelWeights(backbone(3));
    const [name] = [...tensors.keys()].slice(-1);
    const last = tensors.get(name!)!;
    expect(() => writeModelWeights(model, new Map([...tensors, ['other', last]]))).toThrow(
      /E_FORMAT: .*received other/,
    );
    expect(() => writeModelWeights(model, new Map([...tensors, [name!, { ...last, shape: [99] }]]))).toThrow(
      /received 99/,
    );
    tensors.delete(name!);
    expect(() => writeModelWeights(model, tensors)).toThrow(`expected ${name}`);
    expect(embed(model)).toEqual(before);
  });
});

describe('model folder', () => {
  it('loads to a model that answers the same, and is replaced whole', async () => {
    const path = join(folder, 'model');
    await saveModelFolder(backbone(1), path);
    await saveModelFolder(backbone(2), path);
    expect(readdirSync(folder)).toEqual(['model']);
    expect(embed(await loadModelFolder(path))).toEqual(embed(backbone(2)));
  });

  it('refuses one cut short', async () => {
    const path = join(folder, 'model');
    await saveModelFolder(backbone(1), path);
    truncateSync(join(path, 'weights.bin'), 100);
    await expect(loadModelFolder(path)).rejects.toThrow(/E_FORMAT: .*weights\.bin: expected \d+ bytes, received 100/);
    truncateSync(join(path, 'model.json'), 100);
    await expect(loadModelFolder(path)).rejects.toThrow(/E_FORMAT: .*model\.json: expected a tfjs model/);
    await expect(loadModelFolder(join(folder, 'none'))).rejects.toThrow(/E_FORMAT/);
  });
});
