import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { seedRows } from '@hyperarc/kernels-cuda/reference';
import * as tf from '@tensorflow/tfjs-core';
import { negativeLogSums, targetCosines } from './adaptive/class-center-cosines.js';
import { MarginAdapter, sumOfLosses, type MarginState } from './adaptive/index.js';
import type { Labels } from './checks.js';
import { checkPositiveInteger, checkSeed, readLabels } from './checks.js';
import { marginLogits } from './margin-logits.js';
import { checkEmbeddings, classCosines, type Centers } from './class-cosines.js';
import { marginSoftmaxLoss } from './margin-softmax.js';
import type { MarginSpec } from './specs/index.js';

export interface MarginHeadOptions {
  /** C ≥ 1 */
  readonly classes: number;
  /** D ≥ 1 */
  readonly dim: number;
  readonly margin: MarginSpec;
  /** K ≥ 1; default 1. */
  readonly subCenters?: number;
  /** Seed of the centres in [0, 2⁶⁴); default 0. The engine's head starts from the same centres with the same seed. */
  readonly seed?: number | bigint;
  /** Standard deviation of the centres' first values; default 0.01. */
  readonly stddev?: number;
}

/**
 * A margin-softmax head in plain tfjs ops, on any backend, browser included. Owns the class centres as a trainable variable, so
 * that `optimizer.minimize(() => head.loss(model.apply(x), y))` trains them with the backbone.
 */
export class MarginHead {
  readonly margin: MarginSpec;
  /** Class centres [C, D], or [C, K, D] when K > 1. */
  readonly centers: tf.Variable<tf.Rank.R2> | tf.Variable<tf.Rank.R3>;
  private readonly adapter: MarginAdapter;
  private isDisposed = false;

  /**
   * @throws HyperArcError E_RANGE naming the option; E_SHAPE for class margins of another number of classes; E_MEMORY for centres
   * that no array can hold.
   */
  constructor({ classes, dim, margin, subCenters = 1, seed = 0, stddev = 0.01 }: MarginHeadOptions) {
    checkPositiveInteger('classes', classes);
    checkPositiveInteger('dim', dim);
    checkPositiveInteger('subCenters', subCenters);
    checkSeed(seed);
    if (!(stddev > 0 && Number.isFinite(stddev))) {
      throw new HyperArcError('E_RANGE', `stddev: expected a number > 0, received ${stddev}`);
    }
    this.adapter = new MarginAdapter(margin, classes);
    const values = seedCenters([classes, subCenters, dim], BigInt(seed), stddev);
    this.margin = margin;
    this.centers = tf.tidy(() =>
      subCenters === 1
        ? tf.variable(tf.tensor2d(values, [classes, dim]))
        : tf.variable(tf.tensor3d(values, [classes, subCenters, dim])),
    );
  }

  /**
   * Mean loss of a training batch, a scalar; differentiable with respect to the embeddings [B, D] and the centres
   * ({@link marginSoftmaxLoss}). A margin that adapts takes the batch in, and MagFace's penalty on ‖x‖ is part of the loss.
   * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE, E_DISPOSED; E_NONFINITE where a margin adapts to what is not finite. Then the
   * margin's state is as it was.
   */
  loss(embeddings: tf.Tensor, labels: Labels): tf.Scalar {
    const centers = this.liveCenters();
    checkEmbeddings(embeddings, this.centers.shape.at(-1)!);
    const labelsB = this.readLabels(labels, embeddings);
    return tf.tidy(() => {
      const margin = this.adapter.prepare({
        embeddings,
        labels: labelsB,
        targetCosines: () => targetCosines(embeddings, centers, labelsB),
        negativeLogSums: (scale) => negativeLogSums(embeddings, centers, labelsB, scale),
      });
      const loss = marginSoftmaxLoss(embeddings, centers, labelsB, margin.rule, margin.rowParameters);
      margin.commit();
      return margin.penalty ? sumOfLosses(loss, margin.penalty) : loss;
    });
  }

  /**
   * Mean loss with the margin as it stands, without MagFace's penalty; nothing changes.
   * @throws HyperArcError as {@link loss}.
   */
  evaluate(embeddings: tf.Tensor, labels: Labels): tf.Scalar {
    const centers = this.liveCenters();
    checkEmbeddings(embeddings, this.centers.shape.at(-1)!);
    const labelsB = this.readLabels(labels, embeddings);
    return tf.tidy(() => {
      const { rule, rowParameters } = this.adapter.evaluate({ embeddings, labels: labelsB });
      return marginSoftmaxLoss(embeddings, centers, labelsB, rule, rowParameters);
    });
  }

  /**
   * Logits [B, C] for inspection: s·cosθ, and with `labels` the margin at each target as it stands. Not differentiable.
   * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE, E_DISPOSED.
   */
  logits(embeddings: tf.Tensor, labels?: Labels): tf.Tensor2D {
    const centers = this.liveCenters();
    return tf.tidy(() => {
      const cosines = classCosines(embeddings, centers);
      checkEmbeddings(embeddings, this.centers.shape.at(-1)!);
      if (!labels) return tf.mul(cosines, this.adapter.scaleOf(embeddings));
      const labelsB = this.readLabels(labels, embeddings);
      const { rule, rowParameters } = this.adapter.evaluate({ embeddings, labels: labelsB });
      return marginLogits(cosines, labelsB, rule, rowParameters);
    });
  }

  /** What a margin that adapts has learnt so far; plain JSON. The centres are not in it. */
  state(): MarginState {
    return this.adapter.state();
  }

  /** @throws HyperArcError E_FORMAT for anything but what {@link state} gave for the same margin; then nothing changes. */
  loadState(state: MarginState): void {
    this.adapter.loadState(state);
  }

  /** Frees the centres. Every later call but this one throws E_DISPOSED. */
  dispose(): void {
    if (!this.isDisposed) this.centers.dispose();
    this.isDisposed = true;
  }

  private readLabels(labels: Labels, embeddings: tf.Tensor2D): Int32Array {
    return readLabels(labels, embeddings.shape[0], this.centers.shape[0]);
  }

  private liveCenters(): Centers {
    if (this.isDisposed)
      throw new HyperArcError('E_DISPOSED', 'MarginHead: expected a live head, received one that was disposed');
    return this.centers as Centers;
  }
}

/** First values of the centres [C, K, D]. @throws HyperArcError E_MEMORY. */
function seedCenters(shape: [classes: number, subCenters: number, dim: number], seed: bigint, stddev: number) {
  const [classes, subCenters, dim] = shape;
  try {
    return seedRows(seed, Math.fround(stddev), 0, classes * subCenters, dim);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const received = `[${shape.join(', ')}], ${4 * classes * subCenters * dim} bytes`;
    const fix = "use fewer classes, or PartialFC of '@hyperarc/heads/engine'";
    throw new HyperArcError('E_MEMORY', `classes: expected centres that fit in memory, received ${received}; ${fix}`, {
      cause: error,
    });
  }
}
