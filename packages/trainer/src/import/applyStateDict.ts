import type * as tfl from '@tensorflow/tfjs-layers';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { fromTorch, type TorchWeight } from '../backbones/torchNames.js';
import { readModelWeights, writeModelWeights } from '../checkpoint/modelWeights.js';
import type { TensorData } from '../checkpoint/safetensors.js';
import type { ForeignTensor } from './foreignTensor.js';
import type { StateDict } from './stateDict.js';

/** Names that are printed of each kind of difference. */
const MAX_NAMES = 5;
const size = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

function some(names: readonly string[]): string {
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  return names.slice(0, MAX_NAMES).join(', ') + more;
}

/** @throws HyperArcError E_FORMAT naming the entries that are missing, not expected, or of another shape. */
export function checkNames(
  path: string,
  backbone: string,
  weights: readonly TorchWeight[],
  { tensors }: Pick<StateDict, 'tensors'>,
): void {
  const expected = new Map(weights.map((weight) => [weight.torchName, weight]));
  // int64 counters, which batch norm uses only without a momentum.
  const isCounter = (name: string): boolean =>
    name.endsWith('.num_batches_tracked') && expected.has(name.replace(/num_batches_tracked$/, 'running_mean'));
  const missing = [...expected.keys()].filter((name) => !tensors.has(name));
  const extra = [...tensors.keys()].filter((name) => !expected.has(name) && !isCounter(name));
  const misshapen = weights.flatMap(({ torchName, torchShape }) => {
    const shape = tensors.get(torchName)?.shape;
    const fits =
      shape === undefined || (shape.length === torchShape.length && shape.every((n, i) => n === torchShape[i]));
    return fits ? [] : [`${torchName} ${size(shape)} in place of ${size(torchShape)}`];
  });
  const faults = [
    ...(missing.length > 0 ? [`without ${some(missing)}`] : []),
    ...(extra.length > 0 ? [`with ${some(extra)} besides`] : []),
    ...(misshapen.length > 0 ? [`with ${some(misshapen)}`] : []),
  ];
  if (faults.length > 0) {
    throw new HyperArcError(
      'E_FORMAT',
      `${path}: expected the state dict of ${backbone}, received one ${faults.join('; ')}; is it of another backbone, input size or embedding size?`,
    );
  }
}

function readWeight(path: string, weight: TorchWeight, tensor: ForeignTensor): TensorData {
  const values = tensor.read();
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new HyperArcError(
      'E_NONFINITE',
      `${path}: ${weight.torchName}: expected finite values, received ${values[bad]} at element ${bad}`,
    );
  }
  return { shape: weight.shape, values: fromTorch(weight, values) };
}

/**
 * Puts the weights of a state dict into a backbone of PyTorch's layout.
 * @throws HyperArcError E_FORMAT, E_DTYPE or E_NONFINITE naming the entry; nothing has changed then.
 */
export function writeStateDict(
  model: tfl.LayersModel,
  path: string,
  weights: readonly TorchWeight[],
  state: Pick<StateDict, 'tensors'>,
): void {
  checkNames(path, model.name, weights, state);
  // Step counters of dropout, which PyTorch does not have, stay as they are.
  const counters = [...readModelWeights(model)].filter(([, { values }]) => values instanceof Int32Array);
  const read = weights.map((weight): [string, TensorData] => [
    weight.name,
    readWeight(path, weight, state.tensors.get(weight.torchName)!),
  ]);
  writeModelWeights(model, new Map([...counters, ...read]));
}
