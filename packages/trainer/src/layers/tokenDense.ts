import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

export interface TokenDenseConfig {
  name?: string;
  units: number;
  /** Default true. */
  useBias?: boolean;
}

/** x·W (+ b) over the last axis, x [..., in] and W [in, out], as one matrix product. */
export function denseOverLast(x: tf.Tensor, kernel: tf.Tensor2D, bias?: tf.Tensor1D): tf.Tensor {
  const [inputs, units] = kernel.shape;
  const rows = tf.reshape(x, [x.size / inputs, inputs]) as tf.Tensor2D;
  const y = bias === undefined ? tf.matMul(rows, kernel) : tf.fused.matMul({ a: rows, b: kernel, bias });
  return tf.reshape(y, [...x.shape.slice(0, -1), units]);
}

/** A dense layer on every token: [B, T, in] → [B, T, units]. (tfjs's own transposes the kernel at every call for more than two axes.) */
export class TokenDense extends tfl.layers.Layer {
  static readonly className = 'HyperArcTokenDense';
  readonly units: number;
  readonly useBias: boolean;
  private kernel!: tfl.LayerVariable;
  private bias: tfl.LayerVariable | undefined;

  constructor(config: TokenDenseConfig) {
    super(config as unknown as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.units = config.units;
    this.useBias = config.useBias ?? true;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const shape = inputShape as tfl.Shape;
    const zeros = tfl.initializers.zeros();
    this.kernel = this.addWeight('kernel', [shape[shape.length - 1]!, this.units], 'float32', zeros);
    if (this.useBias) this.bias = this.addWeight('bias', [this.units], 'float32', zeros);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    return tf.tidy(() =>
      denseOverLast(x, this.kernel.read() as tf.Tensor2D, this.bias?.read() as tf.Tensor1D | undefined),
    );
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    return [...(inputShape as tfl.Shape).slice(0, -1), this.units];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), units: this.units, useBias: this.useBias };
  }
}
tf.serialization.registerClass(TokenDense);
