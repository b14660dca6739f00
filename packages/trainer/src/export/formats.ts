import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import { createBackbone } from '../backbones/create.js';
import { loadModelFolder, saveModelFolder } from '../checkpoint/modelFolder.js';
import { writeSafetensors } from '../checkpoint/safetensors.js';
import { writeStateDict } from '../import/applyStateDict.js';
import { withStateDict } from '../import/stateDict.js';
import { checkEmbeddings, checkImages, type ExportCheck } from './compare.js';
import { modelToOnnx, OPSET } from './onnx/export.js';
import type { Message } from './onnx/message.js';
import { readOnnx } from './onnx/read.js';
import { runOnnx } from './onnx/run.js';
import { runInOnnxRuntimes } from './onnx/runtime.js';
import { toStockModel } from './stock.js';
import { hasGelu, optionsOf, toStateDict, torchWeightsOf } from './torch.js';

export interface WrittenExport {
  /** What was written, in words. */
  readonly description: string;
  readonly checks: readonly ExportCheck[];
  /** What the user should know besides. */
  readonly notes: readonly string[];
}

/** Writes `model` to `path` and reads it back. @param check also in other programs that this machine may have. */
export type ExportWriter = (model: tfl.LayersModel, path: string, check: boolean) => Promise<WrittenExport>;

/** Embeddings [N·D] of the images that exports are checked with. */
function embed(model: tfl.LayersModel, images: tf.Tensor4D): Float32Array {
  return tf.tidy(() => (model.predict(images) as tf.Tensor).dataSync() as Float32Array);
}

const imageSize = (model: tfl.LayersModel): [number, number] => model.inputs[0]!.shape.slice(1, 3) as [number, number];

function writeMessage(path: string, message: Message): void {
  const file = openSync(path, 'w');
  try {
    for (const piece of message) {
      for (let done = 0; done < piece.length;) done += writeSync(file, piece, done);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

const onnx: ExportWriter = async (model, path, check) => {
  writeMessage(path, modelToOnnx(model));
  const images = checkImages(imageSize(model));
  const channelsFirst = tf.transpose(images, [0, 3, 1, 2]) as tf.Tensor4D;
  try {
    const expected = embed(model, images);
    const ours = tf.tidy(() => runOnnx(readOnnx(readFileSync(path)), channelsFirst).dataSync());
    const checks = [checkEmbeddings(`HyperArc's own reading of the file (${tf.getBackend()})`, expected, ours)];
    const notes: string[] = [];
    if (check) {
      const input = { shape: channelsFirst.shape, values: channelsFirst.dataSync() as Float32Array };
      const answers = await runInOnnxRuntimes(path, input);
      checks.push(...answers.map(({ by, values }) => checkEmbeddings(by, expected, values)));
      if (answers.length === 0) {
        notes.push(
          'not checked by onnxruntime: neither python3 nor Node.js has it here; pip install onnxruntime, or npm install onnxruntime-node',
        );
      }
    }
    const [height, width] = imageSize(model);
    const description = `ONNX, opset ${OPSET}: data [N, 3, ${height}, ${width}] (RGB, (x − 127.5)/127.5) to embedding [N, ${model.outputs[0]!.shape[1]}]`;
    return { description, checks, notes };
  } finally {
    tf.dispose([images, channelsFirst]);
  }
};

const tfjs: ExportWriter = async (model, path) => {
  const stock = toStockModel(model);
  await saveModelFolder(stock, path);
  stock.dispose();
  const loaded = await loadModelFolder(path);
  const images = checkImages(imageSize(model));
  const check = checkEmbeddings(`the saved model (${tf.getBackend()})`, embed(model, images), embed(loaded, images));
  // Without dropout's counters, which the export leaves out.
  const floats = model.weights.filter((weight) => weight.dtype === 'float32').map((weight) => weight.read().size);
  const grown = loaded.countParams() - floats.reduce((sum, size) => sum + size, 0);
  tf.dispose(images);
  loaded.dispose();
  const [height, width] = imageSize(model);
  return {
    description: `tfjs's own layers: images [N, ${height}, ${width}, 3] (RGB, (x − 127.5)/127.5) to embeddings [N, ${model.outputs[0]!.shape[1]}]`,
    checks: [check],
    notes:
      grown > 0 ? [`${grown} zeros more than the model: tfjs has no convolution in groups of several channels`] : [],
  };
};

const safetensors: ExportWriter = async (model, path) => {
  const state = toStateDict(model);
  writeSafetensors(path, state);
  const images = checkImages(imageSize(model));
  const again = createBackbone({ name: model.name, ...optionsOf(model) });
  try {
    await withStateDict(path, (read) => Promise.resolve(writeStateDict(again, path, torchWeightsOf(model), read)));
    const by = `${model.name} with the weights of the file (${tf.getBackend()})`;
    const check = checkEmbeddings(by, embed(model, images), embed(again, images));
    const description = `safetensors, the state dict of ${model.name} in PyTorch, ${state.size} tensors`;
    const notes = hasGelu(model)
      ? ['this one has GELU where the published network has ReLU6: change that in PyTorch']
      : [];
    return { description, checks: [check], notes };
  } finally {
    again.dispose();
    tf.dispose(images);
  }
};

export const exportWriters = { onnx, safetensors, tfjs } as const satisfies Record<string, ExportWriter>;

export type ExportFormat = keyof typeof exportWriters;
