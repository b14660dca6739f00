import type * as tfl from '@tensorflow/tfjs-layers';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import type { BackboneOptions } from '../backbones/create.js';
import { backboneNames, planBackbone, visionTransformers } from '../backbones/registry.js';
import { torchWeights, toTorch, type TorchWeight } from '../backbones/torchNames.js';
import type { WritableTensor } from '../checkpoint/safetensors.js';

/** What tfjs's own layers call some of the weights. */
const STOCK_NAMES: readonly (readonly [ours: string, stock: string])[] = [
  ['running_mean', 'moving_mean'],
  ['running_variance', 'moving_variance'],
  ['kernel', 'depthwise_kernel'],
];

/**
 * The weights of a model beside the names and layouts of the published PyTorch network.
 * @throws HyperArcError E_RANGE if the model is none of `backboneNames`, or has no such names.
 */
export function torchWeightsOf(model: tfl.LayersModel): TorchWeight[] {
  if (!backboneNames.includes(model.name)) {
    throw new HyperArcError(
      'E_RANGE',
      `model: expected a backbone with a published PyTorch network (${backboneNames.join(', ')}), received ${model.name}; export it to onnx`,
    );
  }
  return torchWeights(planBackbone(model.name, optionsOf(model)));
}

/** What `createBackbone` needs to know of a model to make one of the same weights that computes the same. */
export function optionsOf(model: tfl.LayersModel): Omit<BackboneOptions, 'name'> {
  const sizes = { inputSize: model.inputs[0]!.shape[1]!, embeddingSize: model.outputs[0]!.shape[1]! };
  if (!visionTransformers.includes(model.name)) return sizes;
  return { ...sizes, activation: hasGelu(model) ? 'gelu' : 'relu6' };
}

/** Whether a vision transformer has another activation than PyTorch's published network, ReLU6. */
export const hasGelu = (model: tfl.LayersModel): boolean =>
  visionTransformers.includes(model.name) && model.layers.some(({ name }) => name.endsWith('/gelu'));

/** The token that stands in for those that patch dropout left out: without patch dropout there is none, and PyTorch has it all the same. */
const MASK_TOKEN = 'mask_token';

/**
 * A model's state dict in PyTorch, for `load_state_dict(strict=True)`: the weights, and for each batch norm `num_batches_tracked`, int64 [],
 * which is 0 (PyTorch reads it only where a batch norm has no momentum).
 * @throws HyperArcError as {@link torchWeightsOf}; E_FORMAT naming a weight that the model lacks.
 */
export function toStateDict(model: tfl.LayersModel): Map<string, WritableTensor> {
  const values = new Map(model.weights.map((weight) => [weight.originalName, weight]));
  const find = ({ name, torchName, shape }: TorchWeight): Float32Array => {
    const stockNames = STOCK_NAMES.map(([ours, stock]) => name.replace(new RegExp(`/${ours}$`), `/${stock}`));
    const weight = [name, ...stockNames].map((known) => values.get(known)).find((found) => found !== undefined);
    if (weight !== undefined) return weight.read().dataSync() as Float32Array;
    if (torchName === MASK_TOKEN) return new Float32Array(shape[0]!);
    throw new HyperArcError('E_FORMAT', `model: expected the weights of ${model.name}, received it without ${name}`);
  };
  return new Map(
    torchWeightsOf(model).flatMap((weight): [string, WritableTensor][] => {
      const tensor = { shape: weight.torchShape, values: toTorch(weight, find(weight)) };
      const norm = /^(.*\.)running_var$/.exec(weight.torchName)?.[1];
      if (norm === undefined) return [[weight.torchName, tensor]];
      const counter = { shape: [], values: new BigInt64Array(1) };
      return [
        [weight.torchName, tensor],
        [`${norm}num_batches_tracked`, counter],
      ];
    }),
  );
}
