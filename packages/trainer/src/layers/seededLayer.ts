import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { KeyedRandom } from '../data/keyedRandom.js';

export interface SeededLayerConfig {
  name?: string;
  /** Share of what the layer drops, in [0, 1). */
  rate: number;
  /** 32-bit integer. */
  seed: number;
}

/**
 * A layer that drops a share of something at random while training. What it draws follows from its seed and a step counter. The counter is
 * a weight (int32 [1], not trained), saved and restored with the others, so that a resumed run draws what an uninterrupted one would
 * have drawn. The output has the input's shape unless a subclass says otherwise.
 */
export abstract class SeededLayer extends tfl.layers.Layer {
  readonly rate: number;
  readonly seed: number;
  private step!: tfl.LayerVariable;

  constructor(config: SeededLayerConfig) {
    super(config as unknown as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.rate = config.rate;
    this.seed = config.seed;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    this.step = this.addWeight('step', [1], 'int32', tfl.initializers.zeros(), undefined, false);
    super.build(inputShape);
  }

  /** Number of the current training step, from 0; the counter is one higher afterwards. */
  protected nextStep(): number {
    const step = this.step.read().dataSync()[0]!;
    const next = tf.tensor1d([step + 1], 'int32');
    this.step.write(next);
    next.dispose();
    return step;
  }

  /** The random stream of the current training step, the same on every backend; counts the step. */
  protected nextStream(): KeyedRandom {
    return new KeyedRandom(this.seed >>> 0, this.nextStep());
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape | tfl.Shape[] {
    return inputShape;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), rate: this.rate, seed: this.seed };
  }
}
