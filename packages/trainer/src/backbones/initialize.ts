import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';

import type { BackbonePlan, PlannedLayer } from './plan.js';

/** FNV-1a over the UTF-16 units: turns a layer's name into part of its seed. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash | 0;
}

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

function initialValues(planned: PlannedLayer, weight: tfl.LayerVariable, random: RandomGenerator): Float32Array | null {
  const size = weight.shape.reduce<number>((product, extent) => product * extent!, 1);
  const { operation } = planned;
  if (operation.kind === 'conv') {
    const fanOut = operation.filters * operation.kernelSize ** 2;
    return normalValues(size, operation.init === 'fan-out' ? Math.sqrt(2 / fanOut) : 0.1, random);
  }
  if (operation.kind === 'dense') {
    if (operation.init === 'fan-out') return normalValues(size, Math.sqrt(2 / operation.units), random);
    const fanIn = planned.macs / operation.units;
    return uniformValues(size, 1 / Math.sqrt(fanIn), random);
  }
  return null;
}

/**
 * Draws the initial weights. Every layer has its own stream, keyed on the seed and its name, so that its values depend neither on
 * the order of building nor on the backend.
 */
export function initializeBackbone(model: tfl.LayersModel, plan: BackbonePlan, seed: number): void {
  for (const planned of plan.layers) {
    const random = xoroshiro128plus(hashName(`${seed}/${planned.name}`));
    for (const weight of model.getLayer(planned.name).trainableWeights) {
      const values = initialValues(planned, weight, random);
      if (values === null) continue;
      const tensor = tf.tensor(values, weight.shape as number[]);
      weight.write(tensor);
      tensor.dispose();
    }
  }
}
