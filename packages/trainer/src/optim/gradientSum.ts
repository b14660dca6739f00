import { HyperArcError } from '@hyperarc/kernels-cuda';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Sums gradients of micro-batches, so that one step on the sum equals a step on the large batch (batch statistics aside).
 */
export class GradientSum {
  private sums: tf.NamedTensorMap | null = null;

  /**
   * @param grads as tf.variableGrads gives them, the same names every time; the caller disposes them.
   * @param weight factor, such as the micro-batch's share of the samples where its loss is a mean over them. Default 1.
   */
  add(grads: tf.NamedTensorMap, weight = 1): void {
    const { sums } = this;
    const names = Object.keys(grads);
    if (sums !== null && (names.length !== Object.keys(sums).length || names.some((name) => !(name in sums)))) {
      throw new HyperArcError('E_RANGE', 'grads: expected the variables of the first micro-batch, received others');
    }
    const next: tf.NamedTensorMap = {};
    for (const [name, gradient] of Object.entries(grads)) {
      next[name] = tf.tidy(() => {
        const weighted = weight === 1 ? tf.clone(gradient) : tf.mul(gradient, weight);
        return tf.keep(sums === null ? weighted : tf.add(sums[name]!, weighted));
      });
    }
    if (sums !== null) tf.dispose(sums);
    this.sums = next;
  }

  /** The sums, which then belong to the caller; the next `add` starts anew. */
  take(): tf.NamedTensorMap {
    if (this.sums === null) throw new HyperArcError('E_RANGE', 'GradientSum: expected at least one add, received none');
    const { sums } = this;
    this.sums = null;
    return sums;
  }

  dispose(): void {
    if (this.sums !== null) tf.dispose(this.sums);
    this.sums = null;
  }
}
