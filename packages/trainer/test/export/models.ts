import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { createBackbone, type BackboneOptions } from '../../dist/backbones/index.js';
import { values } from '../layers/backends.js';

/** Gives batch norms, slopes and biases values that make a mix-up of them show. */
export function scatter(model: tfl.LayersModel): tfl.LayersModel {
  model.weights.forEach((weight, i) => {
    const part = weight.originalName.split('/').at(-1)!;
    if (weight.dtype !== 'float32' || part.includes('kernel')) return;
    const isScale = /gamma|variance/.test(part);
    const drawn = values(weight.read().size, i + 1).map((value) => (isScale ? 1 + value / 2 : value / 2));
    const tensor = tf.tensor(drawn, weight.shape as number[]);
    weight.write(tensor);
    tensor.dispose();
  });
  return model;
}

/** A backbone as training leaves it: no batch norm is the identity. */
export const trained = (options: BackboneOptions): tfl.LayersModel => scatter(createBackbone(options));

/** Noise [B, S, S, 3] in (−1, 1). */
export const noise = (batch: number, size: number): tf.Tensor4D =>
  tf.tensor4d(values(batch * size * size * 3, 9), [batch, size, size, 3]);
