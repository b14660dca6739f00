import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of tfjs's ops.
import '@tensorflow/tfjs-layers';
import { MarginAdapter, needsNorms, type MarginState } from '../adaptive/index.js';
import { checkFloat, checkPositiveInteger, checkShape, readLabels } from '../checks.js';
import { indicators } from '../indicators.js';
import { marginLogits } from '../margin-logits.js';
import type { MarginSpec } from '../specs/index.js';

export interface MarginLossOptions {
  /** C, the `units` of the model's {@link ClassCosines}. */
  readonly classes: number;
}

/** A loss for `model.compile`, and what a margin that adapts has learnt. */
export interface MarginLoss {
  /**
   * Loss of each sample [B], of which tfjs takes the mean.
   * @param yTrue class indices [B] or [B, 1], or one-hot rows [B, C]; of any dtype
   * @param yPred what ClassCosines gives
   * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE; E_NONFINITE where a margin adapts to what is not finite.
   */
  (yTrue: tf.Tensor, yPred: tf.Tensor): tf.Tensor1D;
  /** For `metrics`: 1 where the nearest centre is that of the sample's class, 0 elsewhere [B]. */
  readonly accuracy: (yTrue: tf.Tensor, yPred: tf.Tensor) => tf.Tensor1D;
  /** Plain JSON; goes beside the saved model. */
  state(): MarginState;
  /** @throws HyperArcError E_FORMAT for anything but what {@link state} gave for the same margin; then nothing changes. */
  loadState(state: MarginState): void;
}

/** Stands for −∞ in fp32. */
const EXCLUDED = -1e30;

/** Class indices [B], checked; a row of one-hot labels counts as its class. */
function labelsOf(yTrue: tf.Tensor, batch: number, classes: number): Int32Array {
  const [rows, columns = 1, ...rest] = yTrue.shape;
  const isOneHot = columns === classes && classes > 1;
  const isRight = rows === batch && rest.length === 0 && (columns === 1 || isOneHot);
  checkShape('yTrue', yTrue, `class indices [${batch}, 1] or one-hot rows [${batch}, ${classes}]`, isRight);
  if (!isOneHot) return readLabels(Array.from(yTrue.dataSync()), batch, classes);
  const labels = tf.tidy(() => {
    const values = tf.cast(yTrue, 'float32');
    const isOne = tf.cast(tf.equal(values, 1), 'float32');
    const others = tf.sum(tf.abs(tf.sub(values, isOne)), 1);
    const isValid = tf.logicalAnd(tf.equal(tf.sum(isOne, 1), 1), tf.equal(others, 0));
    const indices = tf.argMax(isOne, 1);
    return tf.where(isValid, indices, tf.fill(indices.shape, -1, 'int32')).dataSync<'int32'>();
  });
  const wrong = labels.indexOf(-1);
  if (wrong >= 0) {
    const expected = 'one 1 among zeros, received another row; mixed labels have no margin';
    throw new HyperArcError('E_RANGE', `yTrue[${wrong}]: expected ${expected}`);
  }
  return labels;
}

/** ln Σ_{j≠y} e^(logit_j) [B]; next to −∞ for one class. */
function negativeLogSums(logits: tf.Tensor2D, isTarget: tf.Tensor): tf.Tensor1D {
  return tf.logSumExp(tf.where(isTarget, tf.fill(logits.shape, EXCLUDED), logits), 1);
}

/** −ln of the target's probability [B], from logits [B, C]: softplus of ln Σ_{j≠y} e^(logit_j) − logit_y. */
function sampleLosses(logits: tf.Tensor2D, isTarget: tf.Tensor): tf.Tensor1D {
  const targets = tf.sum(tf.where(isTarget, logits, tf.zerosLike(logits)), 1);
  const gaps: tf.Tensor1D = tf.sub(negativeLogSums(logits, isTarget), targets);
  return tf.softplus(gaps);
}

/**
 * The margin softmax `spec` as a loss of `model.compile`, for a model that ends in {@link ClassCosines}:
 * `model.compile({ optimizer, loss, metrics: [loss.accuracy] })`.
 *
 * A margin that adapts takes in the batches that are differentiated (those of `fit`), not those of `evaluate` and of validation,
 * whose loss is without MagFace's penalty. One loss serves one model. Labels are read back to be checked, which WebGPU cannot do
 * synchronously.
 *
 * Near ±1 a cosine alone tells little about the angle: `MarginHead` and `marginSoftmaxLoss` work from the vectors and stay exact.
 *
 * @throws HyperArcError E_RANGE for a spec that is not one, E_SHAPE for class margins of another number of classes.
 */
export function marginLoss(spec: MarginSpec, { classes }: MarginLossOptions): MarginLoss {
  checkPositiveInteger('classes', classes);
  const adapter = new MarginAdapter(spec, classes);
  const hasNorm = needsNorms(spec);
  const columns = hasNorm ? classes + 1 : classes;
  const fix = `make ClassCosines with units: ${classes}, withNorm: ${hasNorm}`;

  const cosinesOf = (yPred: tf.Tensor) => tf.slice(yPred as tf.Tensor2D, [0, 0], [-1, classes]);
  const check = (yTrue: tf.Tensor, yPred: tf.Tensor): Int32Array => {
    checkFloat('yPred', yPred);
    const expected = `[B, ${columns}] (${classes} classes${hasNorm ? ' and ‖x‖' : ''}; ${fix})`;
    checkShape('yPred', yPred, expected, yPred.rank === 2 && yPred.shape[0]! >= 1 && yPred.shape[1] === columns);
    return labelsOf(yTrue, yPred.shape[0]!, classes);
  };

  const loss = (yTrue: tf.Tensor, yPred: tf.Tensor): tf.Tensor1D => {
    const labels = check(yTrue, yPred);
    return tf.tidy((): tf.Tensor1D => {
      const cosines = cosinesOf(yPred);
      const norms = hasNorm ? tf.slice(yPred as tf.Tensor2D, [0, classes], [-1, 1]) : undefined;
      const isTarget = indicators(tf.tensor1d(labels, 'int32'), classes);
      const batch = { labels, ...(norms && { norms }) };
      // Only training differentiates.
      const prepared = tf.engine().isTapeOn()
        ? adapter.prepare({
            ...batch,
            targetCosines: () => tf.sum(tf.where(isTarget, cosines, tf.zerosLike(cosines)), 1),
            negativeLogSums: (scale) =>
              classes === 1
                ? new Float32Array(labels.length).fill(-Infinity)
                : negativeLogSums(tf.mul(cosines, scale), isTarget),
          })
        : undefined;
      const { rule, rowParameters } = prepared ?? adapter.evaluate(batch);
      const logits = marginLogits(cosines, labels, rule, rowParameters);
      const losses = sampleLosses(logits, isTarget);
      prepared?.commit();
      return prepared?.penalty ? tf.add<tf.Tensor1D>(losses, prepared.penalty) : losses;
    });
  };
  const accuracy = (yTrue: tf.Tensor, yPred: tf.Tensor): tf.Tensor1D => {
    const labels = check(yTrue, yPred);
    return tf.tidy((): tf.Tensor1D => {
      const nearest: tf.Tensor1D = tf.argMax(cosinesOf(yPred), 1);
      const isRight: tf.Tensor1D = tf.equal(nearest, tf.tensor1d(labels, 'int32'));
      return tf.cast(isRight, 'float32');
    });
  };
  const members: Pick<MarginLoss, 'accuracy' | 'state' | 'loadState'> = {
    accuracy,
    state: () => adapter.state(),
    loadState: (state) => adapter.loadState(state),
  };
  // Not enumerable: tfjs takes a loss with enumerable properties for a dictionary of losses by output.
  for (const [name, value] of Object.entries(members)) Object.defineProperty(loss, name, { value });
  return loss as MarginLoss;
}
