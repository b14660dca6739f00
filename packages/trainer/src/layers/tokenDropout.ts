import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import { SeededLayer } from './seededLayer.js';

/** Rows of [n, D], in any order and number; `rows` is int32. The gradient is given by the caller. */
const take = (x: tf.Tensor, rows: tf.Tensor): tf.Tensor => tf.gather(x, rows as tf.Tensor1D, 0);

/** Whole numbers, kept as fp32 in between (tfjs layers hand on fp32), as a flat int32 index. */
const asIndex = (x: tf.Tensor): tf.Tensor1D => tf.cast(tf.reshape(x, [x.size]), 'int32');

/**
 * Drops tokens while training: [B, T, D] → [B, K, D], K = ⌊T·(1 − rate)⌋ tokens drawn anew for every sample, so that the blocks that
 * follow work on fewer (arcface_torch's vit, `mask_ratio`). Its second output is for {@link TokenRestore}: [B, 2T], for each sample
 * the rows of [B·T, D] kept and then those dropped, then for each token its row of [B·K, D], or B·K if it was dropped.
 * Identity outside training. The draw follows from the seed and a step counter, a weight that is saved; it is the same on every backend.
 */
export class TokenDropout extends SeededLayer {
  static readonly className = 'HyperArcTokenDropout';

  // tfjs types the result as one tensor or several by overload; this layer has two.
  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor[] {
    const x = (Array.isArray(inputs) ? inputs[0]! : inputs) as tf.Tensor3D;
    return tf.tidy(() => {
      const [batch, tokens, dim] = x.shape;
      if (kwargs.training !== true) return [tf.clone(x), tf.zeros([batch, 2 * tokens])];
      const kept = Math.floor(tokens * (1 - this.rate));
      const drawn = tf.tensor2d(this.draw(batch, tokens, kept), [batch, 2 * tokens]);
      const rows = asIndex(tf.slice(drawn, [0, 0], [batch, kept]));
      const places = asIndex(tf.slice(drawn, [0, tokens], [batch, tokens]));
      const drop = tf.customGrad((xIn, save) => {
        (save as tf.GradSaveFunc)([places]);
        const flat = tf.reshape(xIn as tf.Tensor, [batch * tokens, dim]);
        // A dropped token has no gradient: its place is the row of zeros.
        const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
          const withZeros = tf.concat([tf.reshape(dy, [batch * kept, dim]), tf.zeros([1, dim])]);
          return tf.reshape(take(withZeros, saved[0]!), [batch, tokens, dim]);
        };
        return { value: tf.reshape(take(flat, rows), [batch, kept, dim]), gradFunc };
      });
      return [drop(x), drawn];
    });
  }

  private draw(batch: number, tokens: number, kept: number): Float32Array {
    const random = this.nextStream();
    const result = new Float32Array(batch * 2 * tokens);
    for (let b = 0; b < batch; b++) {
      const order = Int32Array.from({ length: tokens }, (_, t) => t);
      // Fisher–Yates from the end: the last tokens − kept places are drawn, the rest stay.
      for (let i = tokens - 1; i >= kept; i--) {
        const j = random.integer(i + 1);
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      order.forEach((token, place) => {
        result[b * 2 * tokens + place] = b * tokens + token;
        result[b * 2 * tokens + tokens + token] = place < kept ? b * kept + place : batch * kept;
      });
    }
    return result;
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape[] {
    const [batch, tokens, dim] = inputShape as [number | null, number, number];
    return [
      [batch, null, dim],
      [batch, 2 * tokens],
    ];
  }
}
tf.serialization.registerClass(TokenDropout);

/**
 * Puts tokens [B, K, D] back where {@link TokenDropout} (whose second output is the second input) took them from, and one learned token
 * in the places of those dropped: [B, T, D]. Identity outside training.
 */
export class TokenRestore extends tfl.layers.Layer {
  static readonly className = 'HyperArcTokenRestore';
  private token!: tfl.LayerVariable;

  constructor(config: { name?: string } = {}) {
    super(config as ConstructorParameters<typeof tfl.layers.Layer>[0]);
  }

  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const [, , dim] = (inputShape as tfl.Shape[])[0] as [null, null, number];
    this.token = this.addWeight('token', [dim], 'float32', tfl.initializers.zeros());
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    const [x, drawn] = inputs as [tf.Tensor3D, tf.Tensor2D];
    return tf.tidy(() => {
      if (kwargs.training !== true) return tf.clone(x);
      const [batch, kept, dim] = x.shape;
      const tokens = drawn.shape[1] / 2;
      const part = (from: number, count: number) => asIndex(tf.slice(drawn, [0, from], [batch, count]));
      const places = part(tokens, tokens);
      const restore = tf.customGrad((xIn, tokenIn, save) => {
        (save as unknown as tf.GradSaveFunc)([part(0, kept), part(kept, tokens - kept)]);
        const flat = tf.reshape(xIn as tf.Tensor, [batch * kept, dim]);
        const rows = tf.concat([flat, tf.reshape(tokenIn as tf.Tensor, [1, dim])]);
        const gradFunc = (dyIn: tf.Tensor, saved: tf.Tensor[]) => {
          const dy = tf.reshape(dyIn, [batch * tokens, dim]);
          return [
            tf.reshape(take(dy, saved[0]!), [batch, kept, dim]),
            kept === tokens ? tf.zeros([dim]) : tf.sum(take(dy, saved[1]!), 0),
          ];
        };
        return { value: tf.reshape(take(rows, places), [batch, tokens, dim]), gradFunc };
      });
      return restore(x, this.token.read());
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    const [[batch, , dim], [, pair]] = inputShape as [[number | null, null, number], [null, number]];
    return [batch, pair / 2, dim];
  }
}
tf.serialization.registerClass(TokenRestore);
