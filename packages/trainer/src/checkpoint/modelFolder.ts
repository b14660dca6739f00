import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { HyperArcError } from '@hyperarc/kernels-cuda';
import type { io } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

import { makeFolder, renameDurably, syncFolder } from '../files.js';
import type { TensorData } from './safetensors.js';

const TOPOLOGY_FILE = 'model.json';
const WEIGHTS_FILE = 'weights.bin';

function concatenate(data: io.WeightData): Uint8Array {
  return Array.isArray(data) ? Buffer.concat(data.map((part) => new Uint8Array(part))) : new Uint8Array(data);
}

/**
 * Saves a model in tfjs's own layout, model.json beside weights.bin. tf.loadLayersModel reads it where the backbones' layers are
 * registered (import @hyperarc/trainer); {@link loadModelFolder} reads it from disk. Needs no file handler of the backend. The folder is
 * whole or absent: it is written beside and renamed.
 */
export async function saveModelFolder(model: LayersModel, folder: string): Promise<void> {
  const partial = join(dirname(folder), `.partial-${basename(folder)}`);
  const replaced = join(dirname(folder), `.replaced-${basename(folder)}`);
  // What a killed process left behind.
  for (const left of [partial, replaced]) rmSync(left, { recursive: true, force: true });
  makeFolder(partial);
  const handler: io.IOHandler = {
    save: (artifacts) => {
      const { modelTopology, weightSpecs, weightData, generatedBy, format, convertedBy } = artifacts;
      writeFileSync(join(partial, WEIGHTS_FILE), concatenate(weightData ?? new ArrayBuffer(0)));
      const manifest: io.ModelJSON = {
        modelTopology: modelTopology!,
        format: format!,
        generatedBy: generatedBy!,
        convertedBy: convertedBy!,
        weightsManifest: [{ paths: [WEIGHTS_FILE], weights: weightSpecs ?? [] }],
      };
      writeFileSync(join(partial, TOPOLOGY_FILE), JSON.stringify(manifest));
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } });
    },
  };
  try {
    await model.save(handler);
    syncFolder(partial);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
  if (existsSync(folder)) renameSync(folder, replaced);
  renameDurably(partial, folder);
  rmSync(replaced, { recursive: true, force: true });
}

function readArtifacts(folder: string): io.ModelArtifacts {
  const path = join(folder, TOPOLOGY_FILE);
  let model: io.ModelJSON;
  try {
    model = JSON.parse(readFileSync(path, 'utf8')) as io.ModelJSON;
  } catch (cause) {
    throw new HyperArcError('E_FORMAT', `${path}: expected a tfjs model; ${(cause as Error).message}`, { cause });
  }
  const weights = readFileSync(join(folder, WEIGHTS_FILE));
  const weightSpecs = model.weightsManifest.flatMap((group) => group.weights);
  const expected = weightSpecs.reduce(
    (sum, { shape }) => sum + 4 * shape.reduce((product, size) => product * size, 1),
    0,
  );
  if (weights.length !== expected) {
    throw new HyperArcError(
      'E_FORMAT',
      `${join(folder, WEIGHTS_FILE)}: expected ${expected} bytes, received ${weights.length}`,
    );
  }
  const weightData = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length) as ArrayBuffer;
  return { modelTopology: model.modelTopology, weightSpecs, weightData };
}

/**
 * Loads what {@link saveModelFolder} wrote.
 * @throws HyperArcError E_FORMAT if the folder does not hold a whole model.
 */
export async function loadModelFolder(folder: string): Promise<LayersModel> {
  const artifacts = readArtifacts(folder);
  // The backbones' own layers must be registered before a topology that names them is read.
  const [{ loadLayersModel }] = await Promise.all([import('@tensorflow/tfjs-layers'), import('../layers/index.js')]);
  return loadLayersModel({ load: () => Promise.resolve(artifacts) });
}

/**
 * Names of the layers of a model that {@link saveModelFolder} wrote, without building it.
 * @throws HyperArcError E_FORMAT if the folder does not hold a whole model.
 */
export function readModelFolderLayers(folder: string): string[] {
  const topology = readArtifacts(folder).modelTopology as { config?: { layers?: unknown } };
  const layers = topology.config?.layers;
  if (!Array.isArray(layers)) {
    throw new HyperArcError('E_FORMAT', `${join(folder, TOPOLOGY_FILE)}: expected a list of layers, received none`);
  }
  return layers.map((layer: { name?: unknown }) => String(layer.name));
}

/**
 * The weights of a model that {@link saveModelFolder} wrote, by name (`LAYER/part`), without building it.
 * @throws HyperArcError E_FORMAT if the folder does not hold a whole model of float32 and int32 weights.
 */
export function readModelFolderWeights(folder: string): Map<string, TensorData> {
  const { weightSpecs = [], weightData } = readArtifacts(folder);
  const bytes = weightData as ArrayBuffer;
  const weights = new Map<string, TensorData>();
  let offset = 0;
  for (const { name, shape, dtype } of weightSpecs) {
    if (dtype !== 'float32' && dtype !== 'int32') {
      const path = join(folder, TOPOLOGY_FILE);
      throw new HyperArcError('E_FORMAT', `${path}: expected float32 or int32 weights, received ${dtype} of ${name}`);
    }
    const count = shape.reduce((product, size) => product * size, 1);
    const values = dtype === 'float32' ? new Float32Array(bytes, offset, count) : new Int32Array(bytes, offset, count);
    weights.set(name, { shape, values });
    offset += values.byteLength;
  }
  return weights;
}
