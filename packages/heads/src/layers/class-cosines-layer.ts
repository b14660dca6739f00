import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import { seedRows } from '@hyperarc/kernels-cuda/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { checkPositiveInteger } from '../checks.js';
import { classCosines, type Centers } from '../class-cosines.js';
import { rowNorms } from '../unit-rows.js';

/** Plain data: what {@link ClassCosines} is made from, and what its `getConfig` gives. */
export interface ClassCosinesConfig {
  /** C ≥ 1 */
  readonly units: number;
  /** K ≥ 1; default 1. */
  readonly subCenters?: number;
  /** Seed of the centres, an integer in [0, 2⁵³); default 0. `MarginHead` starts from the same centres with the same seed. */
  readonly seed?: number;
  /** Standard deviation of the centres' first values; default 0.01. */
  readonly stddev?: number;
  /** Whether ‖x‖ follows the cosines as one more column, which margins that depend on it need (`needsNorms`); default false. */
  readonly withNorm?: boolean;
  /** [D], where this is the model's first layer: for embeddings that another model has made. */
  readonly inputShape?: tfl.Shape;
  readonly name?: string;
  readonly trainable?: boolean;
}

/** The centres' first values, as `MarginHead` has them. */
class SeededCenters extends tf.serialization.Serializable {
  static readonly className = 'HyperArcSeededCenters';

  constructor(
    private readonly seed: number,
    private readonly stddev: number,
  ) {
    super();
  }

  apply(shape: tfl.Shape): tf.Tensor {
    const sizes = shape as number[];
    const dim = sizes.at(-1)!;
    const rows = sizes.slice(0, -1).reduce((product, size) => product * size, 1);
    return tf.tensor(seedRows(BigInt(this.seed), Math.fround(this.stddev), 0, rows, dim), sizes);
  }

  fromConfigUsesCustomObjects(): boolean {
    return false;
  }

  getConfig(): tf.serialization.ConfigDict {
    return { seed: this.seed, stddev: this.stddev };
  }
}

/** The options that are the layer's own. */
type OwnConfig = Required<Omit<ClassCosinesConfig, 'inputShape' | 'name' | 'trainable'>>;

function checkConfig({ units, subCenters, seed, stddev, withNorm }: OwnConfig): void {
  checkPositiveInteger('units', units);
  checkPositiveInteger('subCenters', subCenters);
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new HyperArcError('E_RANGE', `seed: expected an integer in [0, 2^53), received ${String(seed)}`);
  }
  if (!(stddev > 0 && Number.isFinite(stddev))) {
    throw new HyperArcError('E_RANGE', `stddev: expected a number > 0, received ${String(stddev)}`);
  }
  if (typeof withNorm !== 'boolean') {
    throw new HyperArcError('E_RANGE', `withNorm: expected true or false, received ${String(withNorm)}`);
  }
}

/**
 * Last layer of a model that a margin softmax trains: embeddings float32 [B, D] → cosines with the class centres [B, C], the maximum
 * over K sub-centres; with `withNorm` [B, C + 1], ‖x‖ last. Goes with the loss of {@link marginLoss}. Weight: centres [C, D], or
 * [C, K, D] when K > 1.
 *
 * The number of columns is not in the declared output shape, because tfjs would then refuse labels that are class indices.
 */
export class ClassCosines extends tfl.layers.Layer {
  static readonly className = 'HyperArcClassCosines';
  private readonly config: OwnConfig;
  private centers!: tfl.LayerVariable;

  /** @throws HyperArcError E_RANGE naming the option. */
  constructor({
    units,
    subCenters = 1,
    seed = 0,
    stddev = 0.01,
    withNorm = false,
    trainable = true,
    ...rest
  }: ClassCosinesConfig) {
    super({ ...rest, trainable });
    this.config = { units, subCenters, seed, stddev, withNorm };
    checkConfig(this.config);
  }

  /** @throws HyperArcError E_SHAPE unless the input is [B, D]. */
  override build(inputShape: tfl.Shape | tfl.Shape[]): void {
    const dim = dimOf(inputShape);
    const { units, subCenters, seed, stddev } = this.config;
    const shape = subCenters === 1 ? [units, dim] : [units, subCenters, dim];
    this.centers = this.addWeight('centers', shape, 'float32', new SeededCenters(seed, stddev));
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const embeddings = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor2D;
    return tf.tidy(() => {
      const cosines = classCosines(embeddings, this.centers.read() as Centers);
      return this.config.withNorm ? tf.concat([cosines, rowNorms(embeddings)], 1) : cosines;
    });
  }

  override computeOutputShape(inputShape: tfl.Shape | tfl.Shape[]): tfl.Shape {
    dimOf(inputShape);
    return [(inputShape as tfl.Shape)[0]!, null];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config };
  }
}
tf.serialization.registerClass(ClassCosines);

function dimOf(inputShape: tfl.Shape | tfl.Shape[]): number {
  const [, dim, ...rest] = inputShape as tfl.Shape;
  if (typeof dim !== 'number' || rest.length > 0) {
    const received = JSON.stringify(inputShape);
    throw new HyperArcError('E_SHAPE', `input of ClassCosines: expected embeddings [B, D], received ${received}`);
  }
  return dim;
}
