import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

import type { BackbonePlan, PlannedLayer } from './plan.js';
import { streamSeed } from './streamSeed.js';

/** Of a vision transformer's linear weights, positions and mask token. */
const VIT_STDDEV = 0.02;
const IMAGE_CHANNELS = 3;

/** The next number of (0, 1), in steps of 2⁻³². */
function uniform(random: RandomGenerator): number {
  return ((random.next() >>> 0) + 0.5) * 2 ** -32;
}

/** N(0, stddev²) by Box and Muller's transform. */
function normalValues(size: number, stddev: number, random: RandomGenerator): Float32Array {
  const values = new Float32Array(size);
  for (let i = 0; i < size; i += 2) {
    const radius = stddev * Math.sqrt(-2 * Math.log(uniform(random)));
    const angle = 2 * Math.PI * uniform(random);
    values[i] = radius * Math.cos(angle);
    if (i + 1 < size) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

function uniformValues(size: number, bound: number, random: RandomGenerator): Float32Array {
  return Float32Array.from({ length: size }, () => bound * (2 * uniform(random) - 1));
}

/** Values of one weight, in the order of the layer's; null leaves it as its layer made it: norms 1 and 0, slopes 0.25, biases 0. */
function initialValues(planned: PlannedLayer, weight: tfl.LayerVariable, random: RandomGenerator): Float32Array | null {
  const size = weight.shape.reduce<number>((product, extent) => product * extent!, 1);
  const { operation } = planned;
  const isBias = weight.shape.length === 1;
  switch (operation.kind) {
    case 'conv': {
      const fanOut = operation.filters * operation.kernelSize ** 2;
      return normalValues(size, operation.init === 'fan-out' ? Math.sqrt(2 / fanOut) : 0.1, random);
    }
    case 'dense': {
      const fanIn = planned.macs / operation.units;
      if (operation.init === 'uniform-fan-in') return uniformValues(size, 1 / Math.sqrt(fanIn), random);
      if (isBias) return null;
      return normalValues(size, operation.init === 'fan-out' ? Math.sqrt(2 / operation.units) : VIT_STDDEV, random);
    }
    case 'squeeze-excite':
      return normalValues(size, Math.sqrt(2 / weight.shape[1]!), random);
    case 'patches':
      return uniformValues(size, 1 / Math.sqrt(operation.patchSize ** 2 * IMAGE_CHANNELS), random);
    case 'positions':
    case 'token-restore':
      return normalValues(size, VIT_STDDEV, random);
    case 'attention':
    case 'token-dense':
      return isBias ? null : normalValues(size, VIT_STDDEV, random);
    default:
      return null;
  }
}

/**
 * Draws the initial weights. Every layer has its own stream, keyed on the seed and its name, so that its values depend neither on
 * the order of building nor on the backend.
 */
export function initializeBackbone(model: tfl.LayersModel, plan: BackbonePlan, seed: number): void {
  for (const planned of plan.layers) {
    const random = xoroshiro128plus(streamSeed(seed, planned.name));
    for (const weight of model.getLayer(planned.name).trainableWeights) {
      const values = initialValues(planned, weight, random);
      if (values === null) continue;
      const tensor = tf.tensor(values, weight.shape as number[]);
      weight.write(tensor);
      tensor.dispose();
    }
  }
}
