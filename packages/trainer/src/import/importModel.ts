import * as tf from '@tensorflow/tfjs-core';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { initBackend, type BackendChoice } from '../backend/index.js';
import { createBackbone } from '../backbones/create.js';
import { DEFAULT_INPUT_SIZE, planBackbone } from '../backbones/registry.js';
import { torchWeights } from '../backbones/torchNames.js';
import { saveModelFolder } from '../checkpoint/modelFolder.js';
import { checkImages } from '../export/compare.js';
import { checkNewOutput } from '../outputs.js';
import { checkNames, writeStateDict } from './applyStateDict.js';
import { type StateDict, withStateDict } from './stateDict.js';

export interface ImportOptions {
  /** .pt, .pth or .safetensors: a state dict of the published PyTorch network. */
  weights: string;
  /** Folder to write; must not exist. */
  out: string;
  /** One of `backboneNames`. */
  backbone: string;
  /** Pixels. Default 112. */
  inputSize?: number;
  /** Default: as the weights have it. */
  embeddingSize?: number;
  /** vit-* only: of the MLPs, which the weights do not tell. Default relu6, arcface_torch's. */
  activation?: 'relu6' | 'gelu';
  backend?: BackendChoice;
  log?: (line: string) => void;
}

export interface ImportResult {
  readonly out: string;
  readonly tensors: number;
  /** Of the weights in the file. */
  readonly dtypes: readonly string[];
  readonly notes: readonly string[];
  readonly inputSize: number;
  readonly embeddingSize: number;
  /** Lengths of the embeddings of two images of noise: none is finite by accident. */
  readonly lengths: readonly number[];
}

/** The size of the embeddings: that of the last tensor of the network. */
function embeddingSizeOf(path: string, backbone: string, { tensors }: StateDict): number {
  const { torchName } = torchWeights(planBackbone(backbone)).at(-1)!;
  const found = tensors.get(torchName)?.shape;
  if (found?.length === 1 && found[0]! > 0) return found[0]!;
  throw new HyperArcError(
    'E_FORMAT',
    `${path}: expected the state dict of ${backbone}, received one without ${torchName}, or of another shape; is it of another backbone?`,
  );
}

/**
 * Makes a model folder of the weights of a published PyTorch network, for `hyperarc evaluate` and for training to go on from.
 *
 * @throws HyperArcError E_RANGE if `out` exists, the backbone is unknown or takes no activation; E_FORMAT if the file is damaged, asks for code, or its entries are
 *   not those of the backbone; E_DTYPE and E_NONFINITE for weights that are no finite floats.
 */
export async function importModel(options: ImportOptions): Promise<ImportResult> {
  const { weights: path, out, backbone, inputSize = DEFAULT_INPUT_SIZE, activation, backend, log } = options;
  checkNewOutput('out', out, 'a folder');
  planBackbone(backbone, { inputSize, activation });
  return withStateDict(path, async (state) => {
    const embeddingSize = options.embeddingSize ?? embeddingSizeOf(path, backbone, state);
    const weights = torchWeights(planBackbone(backbone, { inputSize, embeddingSize }));
    // Before TensorFlow is loaded: names tell most mistakes.
    checkNames(path, backbone, weights, state);
    await initBackend(backend, log);
    const model = createBackbone({ name: backbone, inputSize, embeddingSize, activation });
    try {
      writeStateDict(model, path, weights, state);
      const lengths = tf.tidy(() => {
        const embeddings = model.predict(checkImages([inputSize, inputSize])) as tf.Tensor2D;
        return [...tf.norm(embeddings, 2, 1).dataSync()];
      });
      if (!lengths.every((length) => Number.isFinite(length) && length > 0)) {
        throw new HyperArcError(
          'E_NONFINITE',
          `${path}: expected weights that give finite embeddings, received others`,
        );
      }
      await saveModelFolder(model, out);
      const dtypes = [...new Set(weights.map(({ torchName }) => state.tensors.get(torchName)!.dtype))];
      return { out, tensors: weights.length, dtypes, notes: state.notes, inputSize, embeddingSize, lengths };
    } finally {
      model.dispose();
    }
  });
}
