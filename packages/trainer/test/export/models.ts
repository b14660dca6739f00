import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { buildBackbone } from '../../dist/backbones/create.js';
import { createBackbone, type BackboneOptions } from '../../dist/backbones/index.js';
import { planIRSE } from '../../dist/backbones/irse.js';
import { planViT } from '../../dist/backbones/vit.js';
import { values } from '../layers/backends.js';

/** Gives batch norms, slopes and biases values that make a mix-up of them show. */
export function scatter(model: tfl.LayersModel): tfl.LayersModel {
  model.weights.forEach((weight, i) => {
    const part = weight.originalName.split('/').at(-1)!;
    if (weight.dtype !== 'float32' || /kernel|qkv|projection|reduce|expand/.test(part)) return;
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

const PLAN = { inputSize: 32, embeddingSize: 8, dropout: 0, seed: 1 };

/** Small networks of the other families, by name; images of 32×32 to 8. */
export const families: Readonly<Record<string, () => tfl.LayersModel>> = {
  'IR-SE': () =>
    scatter(buildBackbone(planIRSE('irse', { blocks: [1, 1, 1, 1], widths: [8, 8, 16, 16], reduction: 4 }, PLAN))),
  'vision transformer': () =>
    scatter(buildBackbone(planViT('vit', { dim: 16, depth: 2, heads: 4, patchSize: 9 }, PLAN))),
  'vision transformer with GELU': () =>
    scatter(
      buildBackbone(
        planViT('vit', { dim: 16, depth: 2, heads: 4, patchSize: 9 }, { ...PLAN, activation: 'gelu', patchDropout: 0 }),
      ),
    ),
};

/** Noise [B, S, S, 3] in (−1, 1). */
export const noise = (batch: number, size: number): tf.Tensor4D =>
  tf.tensor4d(values(batch * size * size * 3, 9), [batch, size, size, 3]);
