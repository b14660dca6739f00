import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import { KeyedRandom } from '../data/keyedRandom.js';

/**
 * The random stream of a layer's current training step, after which its counter (int32 [1], a weight that is saved with the others) is
 * one higher. It follows from seed and step alone: the same on every backend, and in a resumed run.
 */
export function nextStream(counter: tfl.LayerVariable, seed: number): KeyedRandom {
  const step = counter.read().dataSync()[0]!;
  const next = tf.tensor1d([step + 1], 'int32');
  counter.write(next);
  next.dispose();
  return new KeyedRandom(seed >>> 0, step);
}
