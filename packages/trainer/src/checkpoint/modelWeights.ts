import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import type { TensorData } from './safetensors.js';

/** Copies every weight of a model, running statistics included, by the name it has in any process (`LAYER/part`). */
export function readModelWeights(model: LayersModel): Map<string, TensorData> {
  return new Map(
    model.weights.map((weight) => {
      const tensor = weight.read();
      return [weight.originalName, { shape: tensor.shape, values: tensor.dataSync() as Float32Array | Int32Array }];
    }),
  );
}

/**
 * Sets every weight of a model from {@link readModelWeights}'s result.
 * @throws HyperArcError E_FORMAT naming a weight that is missing, superfluous or of another shape; nothing has changed then.
 */
export function writeModelWeights(model: LayersModel, tensors: ReadonlyMap<string, TensorData>): void {
  const names = new Set(model.weights.map(({ originalName }) => originalName));
  const extra = [...tensors.keys()].find((name) => !names.has(name));
  if (extra !== undefined)
    throw new HyperArcError('E_FORMAT', `weights: expected only those of ${model.name}, received ${extra}`);
  const pairs = model.weights.map((weight) => {
    const tensor = tensors.get(weight.originalName);
    const expected = weight.shape.join('×');
    const received = tensor?.shape.join('×') ?? 'nothing';
    if (tensor === undefined || received !== expected) {
      throw new HyperArcError(
        'E_FORMAT',
        `weights: expected ${weight.originalName} of ${expected}, received ${received}`,
      );
    }
    return { weight, tensor };
  });
  tf.tidy(() => {
    for (const { weight, tensor } of pairs) {
      weight.write(tf.tensor(tensor.values, [...tensor.shape], weight.dtype as 'float32' | 'int32'));
    }
  });
}
