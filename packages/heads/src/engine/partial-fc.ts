import {
  ClassCenters,
  HyperArcError,
  type Device,
  type DeviceSpec,
  type Kernels,
  type MemoryPlan,
  type Optimizer,
  type Precision,
  type Step,
  type Unsampled,
  type UpdateOptions,
} from '@hyperarc/kernels-cuda';
import { marginSoftmax } from '@hyperarc/kernels-cuda/ops';
import * as tf from '@tensorflow/tfjs-core';
import { MarginAdapter, sumOfLosses, type MarginState } from '../adaptive/index.js';
import { checkFloat, checkShape, readLabels, type Labels } from '../checks.js';
import { checkMarginSpec, type MarginSpec } from '../specs/index.js';
import { CenterCosines } from './center-cosines.js';

/** How a head uses its centres; nothing of this is in a saved file. */
export interface PartialFCBehaviour {
  readonly margin: MarginSpec;
  /** Share r of the classes that takes part in each loss, in (0, 1]; default 1, all of them. */
  readonly rate?: number;
  /** What an update does to classes that no loss drew: 'frozen' (default) or 'decayed' (optimizer's state and weight decay move them). */
  readonly unsampled?: Unsampled;
}

export interface PartialFCOptions extends PartialFCBehaviour {
  /** An open device, or 'auto' (default), 'cpu', 'cuda:N'. */
  readonly device?: Device | DeviceSpec;
  /** Kernel family of a CUDA device that the head opens; default 'auto', the engine's choice. */
  readonly kernels?: Kernels;
  /** C ≥ 1 */
  readonly classes: number;
  /** D in [1, 4096] */
  readonly dim: number;
  /** K in [1, 16]; default 1. */
  readonly subCenters?: number;
  /** Seed of the centres and of the sampler, in [0, 2⁶⁴); default 0. */
  readonly seed?: number | bigint;
  /** Standard deviation of the centres' first values; default 0.01. */
  readonly stddev?: number;
  /**
   * How centres are stored: 'fp32' (default); on CUDA also 'bf16' (fp32 centres, bf16 arithmetic) and 'bf16-master' (bf16 centres and
   * optimizer's state, updated with stochastic rounding). docs/numerics.md, "bf16".
   */
  readonly precision?: Precision;
  /** What `update` moves the centres by: 'sgd' (default) with momentum, or 'adamw' with two moments, each as large as the weights. */
  readonly optimizer?: Optimizer;
  /** Whether to hold a momentum buffer, as large as the weights; default true, and always with 'adamw'. */
  readonly momentum?: boolean;
}

/** What, besides the weights, decides how training goes on. Plain JSON. */
export interface PartialFCState {
  /** Number of losses computed so far: the step number of the sampler. */
  readonly samplerStep: number;
  /** Number of updates so far: the step number of stochastic rounding (precision 'bf16-master'). */
  readonly updateStep: number;
  /** What the margin has learnt, under its name. */
  readonly margin: MarginState;
}

export interface Evaluation {
  /** Mean loss over all classes, in nats. */
  readonly loss: number;
  /** [B] */
  readonly lossPerSample: Float32Array;
  /** [B] cosine between each embedding and the centre of its class */
  readonly targetCosine: Float32Array;
}

/**
 * A margin-softmax head for up to millions of classes on the HyperArc engine, with partial FC: An et al., "Killing Two Birds with One
 * Stone: Efficient and Robust Training of Face Recognition CNNs by Partial FC", CVPR 2022. The centres live in the engine; no
 * [B, C] matrix is ever made (docs/architecture.md, "The head's step").
 *
 * `loss` gives a scalar that back-propagates to the embeddings and remembers what the centres' own gradient needs; `update` then
 * moves the centres. Several losses before one update accumulate: equal to one large batch, but that each is
 * a batch of its own to a margin that adapts.
 */
export class PartialFC {
  readonly margin: MarginSpec;
  readonly rate: number;
  readonly unsampled: Unsampled;
  /** The centres, to read, write, resize, or shard by hand. */
  readonly centers: ClassCenters;
  private readonly adapter: MarginAdapter;
  private readonly remembered: Step[] = [];
  private readonly spare: Step[] = [];
  private samplerStep = 0;
  private updateStep = 0;
  private lastTargetCosine: Float32Array = new Float32Array(0);

  /**
   * A head with new centres, or with `centers` that exist: the head disposes them with itself.
   * @throws HyperArcError E_RANGE naming the option, E_SHAPE for class margins of another number of classes, E_MEMORY with the plan,
   * E_DEVICE.
   */
  constructor(options: PartialFCOptions | (PartialFCBehaviour & { readonly centers: ClassCenters })) {
    const { margin, rate = 1, unsampled = 'frozen' } = options;
    checkMarginSpec(margin);
    if (!(typeof rate === 'number' && rate > 0 && rate <= 1)) {
      throw new HyperArcError('E_RANGE', `rate: expected a number in (0, 1], received ${String(rate)}`);
    }
    if (unsampled !== 'frozen' && unsampled !== 'decayed') {
      throw new HyperArcError('E_RANGE', `unsampled: expected 'frozen' or 'decayed', received ${String(unsampled)}`);
    }
    this.margin = margin;
    this.rate = rate;
    this.unsampled = unsampled;
    if ('centers' in options && !(options.centers instanceof ClassCenters)) {
      throw new HyperArcError('E_RANGE', `centers: expected ClassCenters, received ${typeof options.centers}`);
    }
    // Before there are centres: class margins may be for another number of classes.
    const classes = 'centers' in options ? options.centers.config.globalClasses : options.classes;
    this.adapter = new MarginAdapter(margin, classes);
    this.centers = 'centers' in options ? options.centers : ClassCenters.create(options);
  }

  /**
   * A head with the centres that {@link save} wrote, and its {@link state} of then. `precision` is as the file has it by default.
   * @throws HyperArcError E_FORMAT for a file cut short or foreign, E_RANGE, E_MEMORY, E_DEVICE.
   */
  static async load(
    path: string,
    {
      device,
      kernels,
      precision,
      ...behaviour
    }: PartialFCBehaviour & Pick<PartialFCOptions, 'device' | 'kernels' | 'precision'>,
    state?: PartialFCState,
  ): Promise<PartialFC> {
    const centers = await ClassCenters.load(path, {
      ...(device !== undefined && { device }),
      ...(kernels !== undefined && { kernels }),
      ...(precision !== undefined && { precision }),
    });
    try {
      const head = new PartialFC({ ...behaviour, centers });
      if (state) head.loadState(state);
      return head;
    } catch (error) {
      centers.dispose();
      throw error;
    }
  }

  /**
   * Mean margin-softmax loss over the classes drawn for this call, differentiable with respect to the embeddings. Never moves the
   * centres; remembers the micro-batch for {@link update} ({@link evaluate} does not). A margin that adapts takes the batch in, its
   * gradient flows through ‖x‖ where the paper's does, and MagFace's penalty on ‖x‖ is part of the loss. AdaCos's dynamic scale takes
   * one pass over the centres more.
   *
   * @param embeddings float32 [B, D], finite; need not have unit length
   * @param labels [B], class indices in [0, C)
   * @param rowParameters float32 [B, 4]: (s, m1, m2, m3) of each sample, for margins that adapt by other means than their spec's
   * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE, E_NONFINITE, E_BUSY, E_DISPOSED; then nothing is remembered and the margin's state
   * is as it was.
   */
  loss(embeddings: tf.Tensor, labels: Labels, rowParameters?: tf.Tensor): tf.Scalar {
    this.checkEmbeddings(embeddings);
    const labelsB = readLabels(labels, embeddings.shape[0], this.centers.config.globalClasses);
    if (rowParameters && this.adapter.isAdaptive) {
      const expected = `none: the margin '${this.margin.name}' makes its own`;
      throw new HyperArcError('E_RANGE', `rowParameters: expected ${expected}, received some`);
    }
    const step = this.spare.pop() ?? this.centers.createStep();
    try {
      return tf.tidy(() => this.lossOf(embeddings, labelsB, step, rowParameters));
    } catch (error) {
      this.spare.push(step);
      throw error;
    }
  }

  private lossOf(embeddings: tf.Tensor2D, labels: Int32Array, step: Step, rowParameters?: tf.Tensor): tf.Scalar {
    const sampled = this.sample(labels);
    const cosines = new CenterCosines(this.centers, embeddings, labels, sampled);
    const margin = this.adapter.prepare({
      embeddings,
      labels,
      targetCosines: () => cosines.targets(),
      negativeLogSums: (scale) => cosines.negativeLogSums(scale),
    });
    const result = marginSoftmax(this.centers, embeddings, labels, {
      margin: margin.rule,
      rowParameters: margin.rowParameters ?? rowParameters, // the op checks the shape
      sampled,
      step,
    });
    const loss = margin.penalty ? sumOfLosses(result.loss, margin.penalty) : result.loss;
    this.lastTargetCosine = result.targetCosine.dataSync<'float32'>().slice();
    margin.commit();
    this.remembered.push(step);
    this.samplerStep += 1;
    return loss;
  }

  /** [B] cosine of each sample of the last {@link loss} to the centre of its class; empty before the first. */
  get targetCosine(): Float32Array {
    return this.lastTargetCosine;
  }

  /** Number of micro-batches that the next update will use. */
  get pending(): number {
    return this.remembered.length;
  }

  /**
   * Moves the centres by the gradient of the mean loss over every micro-batch since the last update, and forgets those.
   * SGD: v ← μ·v + (dW + λ·w); w ← w − η·v. AdamW: torch.optim.AdamW with one count of updates for all rows (UpdateOptions).
   * @throws HyperArcError E_RANGE for an option or when nothing is pending, E_STALE if the centres were moved by other means,
   * E_BUSY, E_DISPOSED; then everything stays as it was.
   */
  update(options: Omit<UpdateOptions, 'unsampled'>): void {
    this.centers.update(this.pendingSteps(), this.updateOptions(options));
    this.updateStep += 1;
    this.discard();
  }

  /** {@link update} on the device's thread, so that it runs while the backbone's own gradient is computed. */
  async updateAsync(options: Omit<UpdateOptions, 'unsampled'>): Promise<void> {
    const steps = this.pendingSteps();
    const complete = this.updateOptions(options);
    this.remembered.length = 0;
    this.updateStep += 1;
    try {
      await this.centers.updateAsync(steps, complete);
    } catch (error) {
      this.remembered.unshift(...steps);
      this.updateStep -= 1;
      throw error;
    }
    this.spare.push(...steps);
    // Disposed meanwhile: the steps in flight were in neither list.
    if (this.centers.state === 'disposed') this.dispose();
  }

  /** Forgets the micro-batches that an update would have used. */
  discard(): void {
    this.spare.push(...this.remembered.splice(0));
  }

  /**
   * Loss over all classes with the margin as it stands, without MagFace's penalty: without sampling, remembering or moving anything.
   * @throws HyperArcError as {@link loss}.
   */
  async evaluate(embeddings: tf.Tensor, labels: Labels): Promise<Evaluation> {
    this.checkEmbeddings(embeddings);
    const labelsB = readLabels(labels, embeddings.shape[0], this.centers.config.globalClasses);
    const { rule, rowParameters } = this.adapter.evaluate({ embeddings, labels: labelsB });
    const [values, rows] = await Promise.all([embeddings.data<'float32'>(), rowParameters?.data<'float32'>()]);
    rowParameters?.dispose();
    const batch = { embeddings: values, labels: labelsB, margin: rule, rowParameters: rows };
    const result = await this.centers.forwardAsync(batch);
    result.step.dispose();
    const { loss, lossPerSample, targetCosine } = result;
    return { loss, lossPerSample, targetCosine };
  }

  /**
   * s·cosθ to every class, without margin [B, C]; s as it stands where it adapts. Makes the whole matrix, so for inference and few
   * classes.
   * @throws HyperArcError E_SHAPE, E_DTYPE, E_NONFINITE, E_MEMORY, E_DISPOSED.
   */
  async logits(embeddings: tf.Tensor): Promise<tf.Tensor2D> {
    this.checkEmbeddings(embeddings);
    const scale = this.adapter.scaleOf(embeddings);
    try {
      const values = await embeddings.data<'float32'>();
      const common = typeof scale === 'number' ? scale : 1;
      const logitsBC = await this.centers.logitsAsync(values, { scale: common });
      return tf.tidy((): tf.Tensor2D => {
        const logits = tf.tensor2d(logitsBC, [embeddings.shape[0], this.centers.shape[0]]);
        return typeof scale === 'number' ? logits : tf.mul(logits, scale);
      });
    } finally {
      tf.dispose(scale);
    }
  }

  /**
   * Bytes of this head by part, for micro-batches of `batch` samples.
   * @throws HyperArcError E_RANGE, E_DISPOSED.
   */
  plan(batch: number): MemoryPlan {
    return this.centers.device.plan({ ...this.centers.config, batch, rate: this.rate });
  }

  /** Writes weights and the optimizer's state to a safetensors file, whole or not at all. Keep {@link state} beside it to resume exactly. */
  async save(path: string): Promise<void> {
    await this.centers.save(path);
  }

  state(): PartialFCState {
    return { samplerStep: this.samplerStep, updateStep: this.updateStep, margin: this.adapter.state() };
  }

  /**
   * @throws HyperArcError E_FORMAT for anything but what {@link state} gave for a head of the same margin; then nothing changes.
   */
  loadState(state: PartialFCState): void {
    // States written before centres could be bf16 have no updateStep, those before margins could adapt no margin, and nothing
    // that depends on them.
    const { samplerStep, updateStep = 0, margin } = (state ?? {}) as Partial<PartialFCState>;
    const samplerSteps = checkCount('samplerStep', samplerStep);
    const updateSteps = checkCount('updateStep', updateStep);
    if (margin !== undefined || this.adapter.isAdaptive) this.adapter.loadState(margin as MarginState);
    this.samplerStep = samplerSteps;
    this.updateStep = updateSteps;
  }

  /** Frees centres and steps (and the device, if this head opened it). A second call does nothing. */
  dispose(): void {
    for (const step of [...this.remembered.splice(0), ...this.spare.splice(0)]) step.dispose();
    this.centers.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private sample(labels: Int32Array): Int32Array | undefined {
    if (this.rate === 1) return undefined;
    const { seed } = this.centers.config;
    return this.centers.sample({ labels, rate: this.rate, seed, step: this.samplerStep });
  }

  private updateOptions(options: Omit<UpdateOptions, 'unsampled'>): UpdateOptions {
    return { roundingStep: this.updateStep, ...options, unsampled: this.unsampled };
  }

  private pendingSteps(): Step[] {
    if (this.centers.state === 'disposed') {
      throw new HyperArcError('E_DISPOSED', 'PartialFC: expected a live head, received one that was disposed');
    }
    if (this.remembered.length === 0) {
      throw new HyperArcError(
        'E_RANGE',
        'update: expected a loss() since the last update, received none; call loss first',
      );
    }
    return [...this.remembered];
  }

  private checkEmbeddings(embeddings: tf.Tensor): asserts embeddings is tf.Tensor2D {
    const dim = this.centers.shape[2];
    checkFloat('embeddings', embeddings);
    const isRight = embeddings.rank === 2 && embeddings.shape[0] >= 1 && embeddings.shape[1] === dim;
    checkShape('embeddings', embeddings, `[B, ${dim}], B ≥ 1`, isRight);
  }
}

function checkCount(name: string, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new HyperArcError('E_FORMAT', `state.${name}: expected an integer ≥ 0, received ${String(value)}`);
}
