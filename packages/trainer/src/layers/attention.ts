import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { denseOverLast } from './tokenDense.js';

/**
 * softmax(Q·Kᵀ/√d)·V for each head, of qkv [B, T, 3·H·d] (queries, keys, values; in each the heads in turn) → [B, T, H·d].
 * The gradient keeps Q, K, V, the probabilities [B·H, T, T] and the result.
 */
function attend(qkv: tf.Tensor3D, heads: number): tf.Tensor3D {
  const [batch, tokens, triple] = qkv.shape;
  const headDim = triple / 3 / heads;
  const scale = 1 / Math.sqrt(headDim);
  const perHead = [batch * heads, tokens, headDim] as const;
  const joined = [batch, tokens, heads * headDim] as const;
  const split = (x: tf.Tensor) =>
    tf.reshape(tf.transpose(tf.reshape(x, [batch, tokens, heads, headDim]), [0, 2, 1, 3]), [...perHead]);
  const join = (x: tf.Tensor) =>
    tf.reshape(tf.transpose(tf.reshape(x, [batch, heads, tokens, headDim]), [0, 2, 1, 3]), [...joined]);
  const op = tf.customGrad((qkvIn, save) => {
    const parts = tf.transpose(tf.reshape(qkvIn as tf.Tensor, [batch, tokens, 3, heads, headDim]), [2, 0, 3, 1, 4]);
    const [q, k, v] = tf.split(parts, 3, 0).map((part) => tf.reshape(part, [...perHead])) as [
      tf.Tensor3D,
      tf.Tensor3D,
      tf.Tensor3D,
    ];
    const scaled = tf.mul(q, scale);
    const p = tf.softmax(tf.matMul(scaled, k, false, true));
    const o = tf.matMul(p, v);
    (save as tf.GradSaveFunc)([scaled, k, v, p, o]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [sq, sk, sv, sp, so] = saved as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
      const dO = split(dy) as tf.Tensor3D;
      const dV = tf.matMul(sp, dO, true, false);
      // Of the softmax: P∘(dP − Σ dP∘P), and Σ dP∘P over the keys is Σ dO∘O over the channels.
      const mean = tf.sum(tf.mul(dO, so), 2, true);
      const dS = tf.mul(sp, tf.sub(tf.matMul(dO, sv, false, true), mean));
      const dQ = tf.mul(tf.matMul(dS, sk), scale);
      const dK = tf.matMul(dS, sq, true, false);
      const stacked = tf.reshape(tf.concat([dQ, dK, dV], 0), [3, batch, heads, tokens, headDim]);
      return tf.reshape(tf.transpose(stacked, [1, 3, 0, 2, 4]), [batch, tokens, triple]);
    };
    return { value: join(o), gradFunc };
  });
  return op(qkv) as tf.Tensor3D;
}

/**
 * Multi-head self-attention (Vaswani et al. 2017) on tokens [B, T, D] → [B, T, D]: queries, keys and values by one product without
 * bias, then a projection with bias. Heads divide D.
 */
export class MultiHeadAttention extends tfl.layers.Layer {
  static readonly className = 'HyperArcMultiHeadAttention';
  readonly heads: number;
  private qkv!: tfl.LayerVariable;
  private projection!: tfl.LayerVariable;
  private bias!: tfl.LayerVariable;

  constructor(config: { name?: string; heads: number }) {
    super(config as unknown as ConstructorParameters<typeof tfl.layers.Layer>[0]);
    this.heads = config.heads;
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const dim = (inputShape as tfl.Shape)[2]!;
    const zeros = tfl.initializers.zeros();
    this.qkv = this.addWeight('qkv', [dim, 3 * dim], 'float32', zeros);
    this.projection = this.addWeight('projection', [dim, dim], 'float32', zeros);
    this.bias = this.addWeight('bias', [dim], 'float32', zeros);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const x = Array.isArray(inputs) ? inputs[0]! : inputs;
    return tf.tidy(() => {
      const qkv = denseOverLast(x, this.qkv.read() as tf.Tensor2D) as tf.Tensor3D;
      return denseOverLast(
        attend(qkv, this.heads),
        this.projection.read() as tf.Tensor2D,
        this.bias.read() as tf.Tensor1D,
      );
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape | tfl.Shape[] {
    return inputShape;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), heads: this.heads };
  }
}
tf.serialization.registerClass(MultiHeadAttention);
