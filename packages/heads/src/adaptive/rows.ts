import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import * as tf from '@tensorflow/tfjs-core';
import { normsOf } from './norms.js';
import {
  COLUMNS,
  type AdapterBatch,
  type Column,
  type ColumnName,
  type Contribution,
  type OfNorms,
} from './runtime.js';

/** The largest fp32 number that is no more than π/2: what m2 may be. */
const HALF_PI = 1.5707962512969971;

/**
 * Values of a function of ‖x‖, differentiable with respect to the norms (and with them the embeddings) once.
 * Needs none of the gradients of tfjs's own ops.
 */
export function followNorms(norms: tf.Tensor2D, follow: (norms: tf.Tensor2D) => OfNorms): tf.Tensor2D {
  const withGradient = tf.customGrad((input, save) => {
    const { values, byNorm } = follow(input as tf.Tensor2D);
    (save as tf.GradSaveFunc)([byNorm]);
    return { value: values, gradFunc: (dy: tf.Tensor, [slopes]: tf.Tensor[]) => tf.mul(dy, slopes!) };
  });
  return withGradient(norms) as tf.Tensor2D;
}

/** Four columns [B, 1] side by side [B, 4], differentiable with respect to each. */
function sideBySide(columns: tf.Tensor2D[]): tf.Tensor2D {
  const concat = tf.customGrad((...inputs) => {
    inputs.pop();
    const gradFunc = (dy: tf.Tensor) => inputs.map((_, index) => tf.slice(dy as tf.Tensor2D, [0, index], [-1, 1]));
    return { value: tf.concat(inputs as tf.Tensor2D[], 1), gradFunc };
  });
  return concat(...columns) as tf.Tensor2D;
}

/**
 * (s, m1, m2, m3) of each sample [B, 4]: `columns` where there are any, the rule's own numbers elsewhere. Differentiable with
 * respect to the norms through the columns that follow them, and through no other: a column of another kind may have no
 * gradient (NaN), and takes none.
 */
export function rowParametersOf(
  batch: AdapterBatch,
  rule: MarginRule,
  columns: Partial<Record<ColumnName, Column>>,
): tf.Tensor2D {
  const count = batch.labels.length;
  const columnOf = (name: ColumnName): tf.Tensor2D => {
    const column = columns[name];
    if (typeof column === 'function') return followNorms(normsOf(batch), (norms) => withinRange(name, column(norms)));
    const values = column ?? new Float32Array(count).fill(rule[name]);
    return withinRange(name, { values: tf.tensor2d(values, [count, 1]) }).values;
  };
  return tf.tidy(() => sideBySide(COLUMNS.map(columnOf)));
}

/** m2 ≤ π/2 may round to an fp32 number above π/2. */
function withinRange<T extends Pick<OfNorms, 'values'>>(name: ColumnName, column: T): T {
  if (name !== 'm2') return column;
  return { ...column, values: tf.clipByValue(column.values, -HALF_PI, HALF_PI) };
}

/** Sum of a penalty on ‖x‖ over the batch, differentiable with respect to the norms. */
export function penaltyOf(batch: AdapterBatch, penalty: NonNullable<Contribution['penalty']>): tf.Scalar {
  return tf.tidy(() => {
    const summed = tf.customGrad((input, save) => {
      const { values, byNorm } = penalty(input as tf.Tensor2D);
      (save as tf.GradSaveFunc)([byNorm]);
      return { value: tf.sum(values), gradFunc: (dy: tf.Tensor, [slopes]: tf.Tensor[]) => tf.mul(slopes!, dy) };
    });
    return summed(normsOf(batch)) as tf.Scalar;
  });
}

/** a + b, differentiable without the gradients of tfjs's own ops. */
export function sumOfLosses(a: tf.Scalar, b: tf.Scalar): tf.Scalar {
  const add = tf.customGrad((x, y) => ({ value: tf.add(x as tf.Tensor, y as tf.Tensor), gradFunc: (dy) => [dy, dy] }));
  return add(a, b) as tf.Scalar;
}
