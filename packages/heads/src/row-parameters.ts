import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { checkMarginRule, type MarginRule } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';
import { checkFloat, checkShape } from './checks.js';

/** The margin's numbers of each sample, each [B, 1]. */
export interface RowColumns {
  readonly scale: tf.Tensor;
  readonly m1: tf.Tensor;
  readonly m2: tf.Tensor;
  readonly m3: tf.Tensor;
}

/** (s, m1, m2, m3) of the rule for every sample [B, 4]. */
export function rowsOfRule({ scale, m1, m2, m3 }: MarginRule, batch: number): tf.Tensor2D {
  return tf.tile(tf.tensor2d([[scale, m1, m2, m3]]), [batch, 1]);
}

export function columnsOf(rowParametersB4: tf.Tensor2D): RowColumns {
  const column = (index: number) => tf.slice(rowParametersB4, [0, index], [-1, 1]);
  return { scale: column(0), m1: column(1), m2: column(2), m3: column(3) };
}

/**
 * Row parameters have the ranges of the rule's own numbers. They are read back from their device to be checked; WebGPU cannot
 * read synchronously, and there ranges are the caller's to keep.
 * @throws HyperArcError E_SHAPE, E_DTYPE; E_RANGE naming the row.
 */
export function checkRowParameters(
  rowParameters: tf.Tensor,
  rule: MarginRule,
  batch: number,
): asserts rowParameters is tf.Tensor2D {
  checkFloat('rowParameters', rowParameters);
  const isRight = rowParameters.rank === 2 && rowParameters.shape[0] === batch && rowParameters.shape[1] === 4;
  checkShape('rowParameters', rowParameters, `[${batch}, 4], (s, m1, m2, m3) of each sample`, isRight);
  if (tf.getBackend() === 'webgpu') return;
  const values = rowParameters.dataSync<'float32'>();
  for (let i = 0; i < batch; i++) {
    const [scale, m1, m2, m3] = values.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
    try {
      checkMarginRule({ ...rule, scale, m1, m2, m3 });
    } catch (error) {
      if (!(error instanceof HyperArcError)) throw error;
      const reason = error.message.slice(`${error.code}: `.length);
      throw new HyperArcError(error.code, `rowParameters[${i}]: ${reason}`, { cause: error });
    }
  }
}
