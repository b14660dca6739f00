import { ClassCenters, HyperArcError, type CentersOptions } from '@hyperarc/kernels-cuda';
import * as tf from '@tensorflow/tfjs-core';
import { readLabels, type Labels } from '../checks.js';
import { checkEmbeddings } from '../class-cosines.js';
import { checkOptions } from '../specs/check-options.js';
import {
  checkRate,
  checkWeight,
  DEFAULT_RATE,
  DEFAULT_WEIGHT,
  NO_SUCH_OPTIONS,
  distanceToCenters,
  requirePending,
  type CenterLossNumbers,
} from './center-loss.js';

/** Where the centres live and how they are stored: what `ClassCenters.create` takes, without sub-centres and optimizer. */
export interface EngineCenterLossOptions
  extends
    CenterLossNumbers,
    Omit<CentersOptions, 'subCenters' | 'optimizer' | 'momentum' | 'firstClass' | 'globalClasses'> {}

const OPTIONS = ['classes', 'dim', 'weight', 'rate', 'seed', 'stddev', 'device', 'kernels', 'precision'];

/** What an update needs of a batch, gathered by class. */
interface ClassSum {
  count: number;
  readonly sum: Float64Array;
}

/**
 * {@link CenterLoss} with its centres in the engine, for millions of classes: a step reads and writes only the rows of the classes in its
 * batches, 4·B·D bytes each way, and the rest stay where they are. Wen et al., ECCV 2016, eq. 2 and 4. The centres are the loss's own:
 * not normalised, without momentum, and not those of the classifier beside it.
 */
export class EngineCenterLoss {
  readonly weight: number;
  readonly rate: number;
  /** The centres, to read, write, or save. */
  readonly centers: ClassCenters;
  private sums = new Map<number, ClassSum>();
  private batches = 0;

  /**
   * With new centres, or with `centers` that exist (`ClassCenters.load`): the loss disposes them with itself.
   * @throws HyperArcError E_RANGE naming the option, E_MEMORY with the plan, E_DEVICE.
   */
  constructor(options: EngineCenterLossOptions | (CenterLossNumbers & { readonly centers: ClassCenters })) {
    const { weight = DEFAULT_WEIGHT, rate = DEFAULT_RATE, ...rest } = options;
    this.weight = checkWeight(weight);
    this.rate = checkRate(rate);
    if ('centers' in rest) {
      if (!(rest.centers instanceof ClassCenters))
        throw new HyperArcError('E_RANGE', `centers: expected ClassCenters, received ${typeof rest.centers}`);
      checkUnsharded(rest.centers);
      this.centers = rest.centers;
    } else {
      checkOptions('EngineCenterLoss', rest, OPTIONS, NO_SUCH_OPTIONS);
      this.centers = ClassCenters.create({ ...rest, subCenters: 1, momentum: false });
    }
  }

  /**
   * λ/(2B)·Σ ‖x_i − c_{y_i}‖², a scalar, differentiable with respect to the embeddings [B, D]. Never moves centres; remembers what
   * {@link update} needs of the batch.
   * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE, E_NONFINITE, E_BUSY, E_DISPOSED; then nothing is remembered.
   */
  loss(embeddings: tf.Tensor, labels: Labels): tf.Scalar {
    const [classes, , dim] = this.centers.shape;
    checkEmbeddings(embeddings, dim);
    const batch = embeddings.shape[0];
    const labelsB = readLabels(labels, batch, classes);
    const points = embeddings.dataSync<'float32'>();
    const at = points.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) {
      const row = `embeddings[${Math.floor(at / dim)}]`;
      throw new HyperArcError('E_NONFINITE', `${row}: expected finite numbers, received ${points[at]}`);
    }
    const rows = this.centers.readRowsAt('weights', Float64Array.from(labelsB));
    this.remember(points, labelsB, dim);
    return tf.tidy(() => distanceToCenters(embeddings, tf.tensor2d(rows, [batch, dim]), this.weight));
  }

  /** Number of batches that the next update will use. */
  get pending(): number {
    return this.batches;
  }

  /**
   * Moves the centres of the classes in the batches since the last update, all batches as one, and forgets those:
   * c_j ← c_j − α·Σ_{i: y_i=j}(c_j − x_i)/(1 + n_j).
   * @throws HyperArcError E_RANGE when nothing is pending; E_NONFINITE, E_BUSY, E_DISPOSED: then everything stays as it was.
   */
  update(): void {
    requirePending(this.batches);
    const dim = this.centers.shape[2];
    const rows = Float64Array.from(this.sums.keys());
    const values = this.centers.readRowsAt('weights', rows);
    let start = 0;
    for (const { count, sum } of this.sums.values()) {
      const step = this.rate / (1 + count);
      for (let d = 0; d < dim; d++) {
        const center = values[start + d]!;
        values[start + d] = center + step * (sum[d]! - count * center);
      }
      start += dim;
    }
    this.centers.writeRowsAt('weights', rows, values);
    this.discard();
  }

  /** Forgets the batches that an update would have used. */
  discard(): void {
    this.sums = new Map();
    this.batches = 0;
  }

  /** Frees the centres (and the device, if this loss opened it). A second call does nothing. */
  dispose(): void {
    this.discard();
    this.centers.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private remember(points: Float32Array, labels: Int32Array, dim: number): void {
    labels.forEach((label, i) => {
      const ofClass = this.sums.get(label) ?? { count: 0, sum: new Float64Array(dim) };
      ofClass.count += 1;
      for (let d = 0; d < dim; d++) ofClass.sum[d]! += points[i * dim + d]!;
      this.sums.set(label, ofClass);
    });
    this.batches += 1;
  }
}

/** @throws HyperArcError E_RANGE unless row j of the centres is class j, and its only one. */
function checkUnsharded({ config, shape }: ClassCenters): void {
  const [classes, subCenters] = shape;
  if (subCenters !== 1)
    throw new HyperArcError('E_RANGE', `centers: expected one centre a class, received ${subCenters}`);
  if (config.globalClasses !== classes) {
    const received = `classes from ${config.firstClass} on of ${config.globalClasses}`;
    throw new HyperArcError('E_RANGE', `centers: expected centres of every class, received ${received}`);
  }
}
