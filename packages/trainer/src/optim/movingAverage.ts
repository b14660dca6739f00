import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel, LayerVariable } from '@tensorflow/tfjs-layers';

import { readModelWeights, writeModelWeights } from '../checkpoint/modelWeights.js';
import type { TensorData } from '../checkpoint/safetensors.js';
import { check } from './optimizer.js';
import { join, split } from './parameterGroup.js';

export interface MovingAverageOptions {
  /** d, in (0, 1). */
  decay: number;
  /** Whether update n averages with min(d, (1 + n)/(10 + n)), so that the first weights are soon forgotten. */
  warmup: boolean;
}

/** Weights that are averaged by one sequence of ops, with their average, joined. */
interface Group {
  readonly weights: readonly LayerVariable[];
  average: tf.Tensor;
}

const read = (weights: readonly LayerVariable[]): tf.Tensor[] => weights.map((weight) => weight.read());

/**
 * Exponential moving average of a model's weights, a ← a + (1 − d)·(w − a) after every update, starting at the weights that the model
 * has (Polyak and Juditsky 1992; the warm-up of d is that of TensorFlow's ExponentialMovingAverage with num_updates).
 *
 * Every fp32 weight is averaged, the running means and variances of batch norm like the rest: they then belong to the averaged
 * weights as far as an average of statistics can. Counters (int32) are not.
 */
export class MovingAverage {
  readonly decay: number;
  readonly warmup: boolean;
  private count = 0;
  private readonly groups: readonly Group[];

  constructor(
    private readonly model: LayersModel,
    { decay, warmup }: MovingAverageOptions,
  ) {
    check(decay > 0 && decay < 1, 'decay', 'a number in (0, 1)', decay);
    this.decay = decay;
    this.warmup = warmup;
    const floats = model.weights.filter(({ dtype }) => dtype === 'float32');
    const vectors = floats.filter(({ shape }) => shape.length <= 1);
    const others = floats.filter(({ shape }) => shape.length > 1);
    const members = [...others.map((weight) => [weight]), ...(vectors.length > 0 ? [vectors] : [])];
    this.groups = members.map((weights) => ({ weights, average: this.keep(() => join(read(weights))) }));
  }

  /** Updates averaged so far. */
  get updates(): number {
    return this.count;
  }

  /** d of update n ≥ 1. */
  decayAt(n: number): number {
    return this.warmup ? Math.min(this.decay, (1 + n) / (10 + n)) : this.decay;
  }

  /** Takes the model's weights in, after an update of them. */
  update(): void {
    const share = 1 - this.decayAt(this.count + 1);
    for (const group of this.groups) {
      this.replace(group, () => {
        const { average } = group;
        return tf.add(average, tf.mul(tf.sub(join(read(group.weights)), average), share));
      });
    }
    this.count += 1;
  }

  /** Runs `use` while the model has the averages for weights; then it has its own again, whatever happens. */
  async apply<T>(use: () => Promise<T>): Promise<T> {
    const restore = this.swap();
    try {
      return await use();
    } finally {
      restore();
    }
  }

  /** The model's weights with the averages for the fp32 ones, by the names of a checkpoint. */
  state(): Map<string, TensorData> {
    const restore = this.swap();
    try {
      return readModelWeights(this.model);
    } finally {
      restore();
    }
  }

  /**
   * Goes on from what {@link state} gave and {@link updates} was.
   * @throws HyperArcError E_FORMAT naming a weight that is missing, superfluous or of another shape; E_RANGE. Nothing has changed then.
   */
  loadState(state: ReadonlyMap<string, TensorData>, updates: number): void {
    check(Number.isSafeInteger(updates) && updates >= 0, 'updates', 'a whole number ≥ 0', updates);
    const restore = this.hold();
    try {
      writeModelWeights(this.model, state);
      for (const group of this.groups) this.replace(group, () => join(read(group.weights)));
    } finally {
      restore();
    }
    this.count = updates;
  }

  dispose(): void {
    for (const { average } of this.groups) average.dispose();
  }

  private keep(make: () => tf.Tensor): tf.Tensor {
    return tf.keep(tf.tidy(() => tf.clone(make())));
  }

  private replace(group: Group, make: () => tf.Tensor): void {
    const average = this.keep(make);
    group.average.dispose();
    group.average = average;
  }

  /** Remembers the model's weights. @returns what puts them back. */
  private hold(): () => void {
    const held = this.model.weights.map((weight) => ({ weight, value: tf.keep(tf.clone(weight.read())) }));
    return () => {
      for (const { weight, value } of held) {
        weight.write(value);
        value.dispose();
      }
    };
  }

  /** Puts the averages in the model's weights. @returns what puts its own back. */
  private swap(): () => void {
    const restore = this.hold();
    tf.tidy(() => {
      for (const { weights, average } of this.groups) {
        const parts = split(average, read(weights));
        weights.forEach((weight, i) => weight.write(parts[i]!));
      }
    });
    return restore;
  }
}
