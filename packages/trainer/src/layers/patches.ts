import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/**
 * Patches to tokens: [B, H, W, C] → [B, T, D], T = ⌊H/p⌋·⌊W/p⌋ patches of p×p pixels, row by row, each times a kernel [p, p, C, D]
 * plus a bias (Dosovitskiy et al. 2021). Pixels beyond the last whole patch are not seen.
 */
export class PatchEmbedding extends tfl.layers.Layer {
  static readonly className = 'HyperArcPatchEmbedding';
  readonly filters: number;
  readonly patchSize: number;
  private kernel!: tfl.LayerVariable;
  private bias!: tfl.LayerVariable;

  constructor(config: { name?: string; filters: number; patchSize: number }) {
    super(config as unknown as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.filters = config.filters;
    this.patchSize = config.patchSize;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const channels = (inputShape as tfl.Shape)[3]!;
    const shape = [this.patchSize, this.patchSize, channels, this.filters];
    this.kernel = this.addWeight('kernel', shape, 'float32', tfl.initializers.zeros());
    this.bias = this.addWeight('bias', [this.filters], 'float32', tfl.initializers.zeros());
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = (Array.isArray(inputs) ? inputs[0]! : inputs) as tf.Tensor4D;
    return tf.tidy(() => {
      const map = tf.conv2d(x, this.kernel.read() as tf.Tensor4D, this.patchSize, 'valid');
      const [batch, rows, columns] = map.shape;
      return tf.reshape(tf.add(map, this.bias.read()), [batch, rows * columns, this.filters]);
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const [batch, height, width] = inputShape as [number | null, number, number];
    return [batch, Math.floor(height / this.patchSize) * Math.floor(width / this.patchSize), this.filters];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), filters: this.filters, patchSize: this.patchSize };
  }
}
tf.serialization.registerClass(PatchEmbedding);

/** Adds a learned vector to each token: [B, T, D] + [T, D]. */
export class PositionEmbedding extends tfl.layers.Layer {
  static readonly className = 'HyperArcPositionEmbedding';
  private positions!: tfl.LayerVariable;

  constructor(config: { name?: string } = {}) {
    super(config as ConstructorParameters<typeof tfl.layers.Layer>[0]);
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const [, tokens, dim] = inputShape as [null, number, number];
    this.positions = this.addWeight('positions', [tokens, dim], 'float32', tfl.initializers.zeros());
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.add(Array.isArray(inputs) ? inputs[0]! : inputs, this.positions.read());
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape | tfl.Shape[] {
    return inputShape;
  }
}
tf.serialization.registerClass(PositionEmbedding);
