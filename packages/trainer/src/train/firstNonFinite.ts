import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import type { MicroBatch } from './step.js';

function isFinite(tensor: tf.Tensor): boolean {
  if (tensor.dtype !== 'float32') return true;
  return tf.tidy(() => tf.all(tf.isFinite(tensor)).dataSync()[0] === 1);
}

/** The first layer, in the order of the forward pass, whose output for these images holds a NaN or an infinity. */
function firstLayer(backbone: tfl.LayersModel, { images, labels }: MicroBatch, inputSize: number): string | undefined {
  return tf.tidy(() => {
    const layers = backbone.layers.filter((layer) => layer.getClassName() !== 'InputLayer');
    const outputs = layers.map((layer) => layer.output as tfl.SymbolicTensor);
    const every = tfl.model({ inputs: backbone.inputs, outputs });
    const input = tf.tensor4d(images, [labels.length, inputSize, inputSize, 3]);
    const values = every.apply(input, { training: true }) as tf.Tensor[];
    return layers[values.findIndex((value) => !isFinite(value))]?.name;
  });
}

/**
 * Looks for where in the backbone numbers stop being finite: a trained weight, or the output of a layer in a forward pass of one of the
 * batches. Moves running statistics and dropout counters, as any forward pass in training does.
 * @returns in words; undefined if all is finite, or if it cannot be found out.
 */
export function firstNonFinite(
  backbone: tfl.LayersModel,
  batches: readonly MicroBatch[],
  inputSize: number,
): string | undefined {
  try {
    // Running statistics are left out: after a failed step they hold what it made of them.
    const weight = backbone.trainableWeights.find((one) => !isFinite(one.read()));
    if (weight !== undefined) return `weight ${weight.originalName}`;
    for (const batch of batches) {
      const layer = firstLayer(backbone, batch, inputSize);
      if (layer !== undefined) return `output of layer ${layer}`;
    }
  } catch {
    // A help for the message only: what went wrong in the step is told in any case.
  }
  return undefined;
}
