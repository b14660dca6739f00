import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { seedRows } from '@hyperarc/kernels-cuda/reference';
import * as tf from '@tensorflow/tfjs-core';
import { checkPositiveInteger, checkSeed, readLabels, type Labels } from '../checks.js';
import { checkEmbeddings } from '../class-cosines.js';
import { indicators } from '../indicators.js';
import { checkNumber, checkOptions } from '../specs/check-options.js';
import { checkPlainCenters } from './checks.js';

/** λ of Wen et al.'s experiments. */
export const DEFAULT_WEIGHT = 0.003;
/** α of Wen et al.'s experiments. */
export const DEFAULT_RATE = 0.5;

/** Why a center loss lacks what heads have. */
export const NO_SUCH_OPTIONS = {
  subCenters: 'center loss pulls to one centre a class; sub-centres are for margin heads',
  margin: 'center loss has no margin; it goes beside a head that has one',
};

/** What a center loss has, wherever its centres live. */
export interface CenterLossNumbers {
  /** λ in [0, 1e6], weight against the loss beside it; default 0.003. */
  readonly weight?: number;
  /** α in [0, 1], the centres' own rate; default 0.5. */
  readonly rate?: number;
}

/** @throws HyperArcError E_RANGE. */
export function checkWeight(weight: unknown): number {
  return checkNumber('weight', weight, { low: 0, high: 1e6 });
}

/** @throws HyperArcError E_RANGE. */
export function checkRate(rate: unknown): number {
  return checkNumber('rate', rate, { low: 0, high: 1 });
}

/**
 * λ/(2B)·Σ ‖x_i − c_i‖², with the centre of each sample's class already beside it [B, D]. Differentiable once with respect to both.
 */
export function distanceToCenters(embeddings: tf.Tensor, ownCenters: tf.Tensor2D, weight: number): tf.Scalar {
  const loss = tf.customGrad((x, c, save) => {
    const differences = tf.sub(x as tf.Tensor2D, c as tf.Tensor2D);
    const share = weight / embeddings.shape[0];
    (save as tf.GradSaveFunc)([differences]);
    const gradFunc = (dy: tf.Tensor, [remembered]: tf.Tensor[]) => {
      const dX = tf.mul(tf.mul(remembered!, share), dy);
      return [dX, tf.neg(dX)];
    };
    return { value: tf.mul(tf.sum(tf.sum(tf.square(differences), 1)), share / 2), gradFunc };
  });
  return loss(embeddings, ownCenters) as tf.Scalar;
}

/**
 * Center loss, λ/(2B)·Σ ‖x_i − c_{y_i}‖²: Wen et al., "A Discriminative Feature Learning Approach for Deep Face Recognition", ECCV 2016,
 * eq. 2, as a mean over the batch (the paper sums). Neither side is normalised. Differentiable once with respect to the embeddings and the
 * centres; the paper moves centres by a rule of their own, which {@link CenterLoss} has.
 *
 * @param embeddings float32 [B, D]
 * @param centers float32 [C, D]
 * @param labels [B], class indices in [0, C)
 * @param options `weight` λ in [0, 1e6], default 0.003
 * @returns float32 scalar
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE naming the parameter.
 */
export function centerLoss(
  embeddings: tf.Tensor,
  centers: tf.Tensor,
  labels: Labels,
  options: Pick<CenterLossNumbers, 'weight'> = {},
): tf.Scalar {
  checkOptions('centerLoss', options, ['weight']);
  const weight = checkWeight(options.weight ?? DEFAULT_WEIGHT);
  const classes = checkPlainCenters('centers', centers, embeddings);
  const labelsB = readLabels(labels, embeddings.shape[0]!, classes);
  return tf.tidy(() => distanceToCenters(embeddings, ownCentersOf(centers, labelsB), weight));
}

/** The centre of each sample's class [B, D], differentiable with respect to the centres [C, D]. */
function ownCentersOf(centers: tf.Tensor, labels: Int32Array): tf.Tensor2D {
  const gathered = tf.customGrad((centersCD) => ({
    value: tf.gather(centersCD as tf.Tensor2D, tf.tensor1d(labels, 'int32')),
    gradFunc: (dy: tf.Tensor) => tf.matMul(membership(labels, centers.shape[0]!), dy as tf.Tensor2D, true),
  }));
  return gathered(centers) as tf.Tensor2D;
}

/** 1 where sample i is of class j [B, C]. */
function membership(labels: Int32Array, classes: number): tf.Tensor2D {
  return tf.cast(indicators(tf.tensor1d(labels, 'int32'), classes), 'float32') as tf.Tensor2D;
}

export interface CenterLossOptions extends CenterLossNumbers {
  /** C ≥ 1 */
  readonly classes: number;
  /** D ≥ 1 */
  readonly dim: number;
  /** Seed of the centres in [0, 2⁶⁴); default 0. */
  readonly seed?: number | bigint;
  /** Standard deviation of the centres' first values; default 0.01. */
  readonly stddev?: number;
}

/**
 * Center loss with centres of its own, in plain tfjs ops. `loss` is differentiable with respect to the embeddings and remembers the batch;
 * `update`, apart from it, moves the centres of the classes it saw by the paper's rule (eq. 4):
 * c_j ← c_j − α·Σ_{i: y_i=j}(c_j − x_i)/(1 + n_j), n_j their number. Centres are not normalised, and no optimizer touches them.
 *
 * It is made to go beside a classifier:
 *
 *     optimizer.minimize(() => tf.add(head.loss(embed(), labels), center.loss(embed(), labels)), false, [backbone, head.centers]);
 *     center.update();
 */
export class CenterLoss {
  readonly weight: number;
  readonly rate: number;
  /** Class centres [C, D]; not trainable, so that an optimizer without a list of variables leaves them alone. */
  readonly centers: tf.Variable<tf.Rank.R2>;
  private remembered: { readonly points: tf.Tensor2D; readonly labels: Int32Array }[] = [];
  private isDisposed = false;

  /** @throws HyperArcError E_RANGE naming the option; E_MEMORY for centres that no array can hold. */
  constructor(options: CenterLossOptions) {
    checkOptions('CenterLoss', options, ['classes', 'dim', 'weight', 'rate', 'seed', 'stddev'], NO_SUCH_OPTIONS);
    const { classes, dim, weight = DEFAULT_WEIGHT, rate = DEFAULT_RATE, seed = 0, stddev = 0.01 } = options;
    checkPositiveInteger('classes', classes);
    checkPositiveInteger('dim', dim);
    this.weight = checkWeight(weight);
    this.rate = checkRate(rate);
    checkSeed(seed);
    checkNumber('stddev', stddev, { low: 1e-30, high: 1e30 });
    const values = firstValues(classes, dim, BigInt(seed), stddev);
    this.centers = tf.tidy(() => tf.variable(tf.tensor2d(values, [classes, dim]), false));
  }

  /**
   * λ/(2B)·Σ ‖x_i − c_{y_i}‖², a scalar. Never moves centres; remembers the batch for {@link update}.
   * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE, E_DISPOSED; then nothing is remembered.
   */
  loss(embeddings: tf.Tensor, labels: Labels): tf.Scalar {
    this.requireLive();
    const [classes, dim] = this.centers.shape;
    checkEmbeddings(embeddings, dim);
    const labelsB = readLabels(labels, embeddings.shape[0], classes);
    const value = tf.tidy(() => distanceToCenters(embeddings, ownCentersOf(this.centers, labelsB), this.weight));
    this.remembered.push({ points: tf.keep(tf.clone(embeddings)), labels: labelsB });
    return value;
  }

  /** Number of batches that the next update will use. */
  get pending(): number {
    return this.remembered.length;
  }

  /**
   * Moves the centres of the classes in the batches since the last update, all batches as one, and forgets those.
   * @throws HyperArcError E_RANGE when nothing is pending; E_NONFINITE for embeddings that are not finite (not on WebGPU, which cannot be
   * read back synchronously), E_DISPOSED: then everything stays as it was.
   */
  update(): void {
    this.requireLive();
    requirePending(this.pending);
    const moved = tf.tidy(() => {
      const points = tf.concat(this.remembered.map((batch) => batch.points));
      const labels = Int32Array.from(this.remembered.flatMap((batch) => [...batch.labels]));
      const members = membership(labels, this.centers.shape[0]);
      const counts = tf.expandDims(tf.sum(members, 0), 1);
      const pulls = tf.sub(tf.matMul(members, points, true), tf.mul(counts, this.centers));
      return tf.add(this.centers, tf.mul(tf.div(pulls, tf.add(counts, 1)), this.rate)) as tf.Tensor2D;
    });
    try {
      requireFinite(moved);
      this.centers.assign(moved);
    } finally {
      moved.dispose();
    }
    this.discard();
  }

  /** Forgets the batches that an update would have used. */
  discard(): void {
    for (const { points } of this.remembered) points.dispose();
    this.remembered = [];
  }

  /** Frees the centres. Every later call but this one throws E_DISPOSED. */
  dispose(): void {
    this.discard();
    if (!this.isDisposed) this.centers.dispose();
    this.isDisposed = true;
  }

  private requireLive(): void {
    if (this.isDisposed)
      throw new HyperArcError('E_DISPOSED', 'CenterLoss: expected a live loss, received one that was disposed');
  }
}

/**
 * One embedding that is not finite reaches every centre: the sum over the members of a class is a product with 0 for the others.
 * @throws HyperArcError E_NONFINITE.
 */
function requireFinite(centers: tf.Tensor2D): void {
  if (tf.getBackend() === 'webgpu' || tf.tidy(() => tf.all(tf.isFinite(centers)).dataSync()[0] === 1)) return;
  const fix = 'discard() forgets the batches';
  throw new HyperArcError('E_NONFINITE', `embeddings: expected finite numbers, received others; ${fix}`);
}

/** @throws HyperArcError E_RANGE unless there is a batch to update with. */
export function requirePending(pending: number): void {
  if (pending > 0) return;
  throw new HyperArcError('E_RANGE', 'update: expected a loss() since the last update, received none; call loss first');
}

/** @throws HyperArcError E_MEMORY. */
function firstValues(classes: number, dim: number, seed: bigint, stddev: number): Float32Array {
  try {
    return seedRows(seed, Math.fround(stddev), 0, classes, dim);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const received = `[${classes}, ${dim}], ${4 * classes * dim} bytes`;
    const fix = "use EngineCenterLoss of '@hyperarc/heads/engine'";
    throw new HyperArcError('E_MEMORY', `classes: expected centres that fit in memory, received ${received}; ${fix}`, {
      cause: error,
    });
  }
}
