import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** y = x·g for x [B, H, W, C] and a gate g [B, C] a channel, with few passes over x in the gradient. */
function gate(x: tf.Tensor4D, factors: tf.Tensor2D): tf.Tensor4D {
  const [batch, , , channels] = x.shape;
  const overMap = (g: tf.Tensor) => tf.reshape(g, [batch, 1, 1, channels]);
  const op = tf.customGrad((xIn, gIn, save) => {
    (save as tf.GradSaveFunc)([xIn as tf.Tensor, gIn as tf.Tensor]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => [
      tf.mul(dy, overMap(saved[1]!)),
      tf.sum(tf.mul(dy, saved[0]!), [1, 2]),
    ];
    return { value: tf.mul(xIn as tf.Tensor, overMap(gIn as tf.Tensor)), gradFunc };
  });
  return op(x, factors) as tf.Tensor4D;
}

/** Mean over the map, [B, H, W, C] → [B, C]. (tfjs's own gradient of a mean makes and multiplies a tensor of ones.) */
function mapMean(x: tf.Tensor4D): tf.Tensor2D {
  const [batch, height, width, channels] = x.shape;
  const op = tf.customGrad((xIn) => {
    const gradFunc = (dy: tf.Tensor) =>
      tf.broadcastTo(tf.reshape(tf.div(dy, height * width), [batch, 1, 1, channels]), x.shape);
    return { value: tf.mean(xIn as tf.Tensor, [1, 2]), gradFunc };
  });
  return op(x) as tf.Tensor2D;
}

/**
 * Squeeze-and-excitation (Hu et al. 2018): [B, H, W, C] times sigmoid(relu(mean·W₁)·W₂) a channel; W₁ [C, C/reduction] and
 * W₂ [C/reduction, C] without biases.
 */
export class SqueezeExcite extends tfl.layers.Layer {
  static readonly className = 'HyperArcSqueezeExcite';
  readonly reduction: number;
  private reduce!: tfl.LayerVariable;
  private expand!: tfl.LayerVariable;

  /** @param config reduction: divides C. */
  constructor(config: { name?: string; reduction: number }) {
    super(config as unknown as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.reduction = config.reduction;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const channels = (inputShape as tfl.Shape)[3]!;
    const reduced = channels / this.reduction;
    const zeros = tfl.initializers.zeros();
    this.reduce = this.addWeight('reduce', [channels, reduced], 'float32', zeros);
    this.expand = this.addWeight('expand', [reduced, channels], 'float32', zeros);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = (Array.isArray(inputs) ? inputs[0]! : inputs) as tf.Tensor4D;
    return tf.tidy(() => {
      const hidden = tf.relu(tf.matMul(mapMean(x), this.reduce.read() as tf.Tensor2D));
      return gate(x, tf.sigmoid(tf.matMul(hidden, this.expand.read() as tf.Tensor2D)) as tf.Tensor2D);
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape | tfl.Shape[] {
    return inputShape;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), reduction: this.reduction };
  }
}
tf.serialization.registerClass(SqueezeExcite);
