import { backstop } from './backstop.js';
import type {
  Kernels,
  NativeBatch,
  NativeClassCenters,
  NativeForwardOutputs,
  NativeStep,
  NativeStepTimes,
} from './binding.js';
import { loadCenters, saveCenters } from './centers-file.js';
import {
  describeValue,
  requireFloat32,
  requireHostMemory,
  requireInteger,
  requireNumber,
  requireObject,
  requireOneOf,
  requireStddev,
  requireUint64,
} from './checks.js';
import { Device, openDevice, type DeviceSpec } from './device.js';
import { callNative, callNativeAsync, fromNative, fromNativeWithPlan, HyperArcError } from './errors.js';
import {
  checkSample,
  toNativeBatch,
  toNativeSgd,
  type BatchOptions,
  type ForwardResult,
  type SampleOptions,
  type UpdateOptions,
} from './pass-options.js';
import { MAX_CLASSES, toNativeConfig, type CentersShape } from './shape.js';
import { Step } from './step.js';

export interface CentersOptions extends CentersShape {
  /** An open device, or the spec of one that these centres open and own; 'auto' by default. */
  readonly device?: Device | DeviceSpec;
  /** Kernel family of a CUDA device that these centres open ({@link DeviceOptions.kernels}); an open device has its own. */
  readonly kernels?: Kernels;
  /** Seed of the initial values, in [0, 2^64); 0 by default. */
  readonly seed?: number | bigint;
  /** Standard deviation of the initial values, in [1e-30, 1e30]; 0.01 by default. Only the direction of a row matters to the loss. */
  readonly stddev?: number;
}

/** How {@link ClassCenters.load} departs from what the file says, and where the centres live. */
export type LoadOptions = Pick<CentersOptions, 'device' | 'kernels' | 'precision' | 'momentum'>;

export type CentersBuffer = 'weights' | 'momentum';
/** The three things that cross shards; sum each over the shards between the stages of a forward pass. */
export type Seam = 'targetLogits' | 'sumExp' | 'embeddingGradient';

const BUFFERS: readonly CentersBuffer[] = ['weights', 'momentum'];
const SEAMS: readonly Seam[] = ['targetLogits', 'sumExp', 'embeddingGradient'];

/**
 * Class centres W [C, K, D] with their momentum, on a device: the head of a large-identity model. `forward` gives loss and gradient
 * and never moves weights; `update` moves them. docs/architecture.md, "The head's step"; docs/numerics.md for every formula.
 *
 * Every operation has a synchronous form and one that returns a promise and runs on the device's own thread, in the order of the
 * calls. While a promise is not settled, a synchronous call on the same centres or step answers E_BUSY; further asynchronous calls
 * queue. Input arrays are copied by the call. After `dispose` every call answers E_DISPOSED; operations in flight finish first.
 */
export class ClassCenters {
  readonly #native: NativeClassCenters;
  readonly #device: Device;
  readonly #ownsDevice: boolean;
  readonly #initialSeed: bigint;
  readonly #initialStddev: number;
  #changes = 0;
  #updates = 0;

  private constructor(
    native: NativeClassCenters,
    device: Device,
    ownsDevice: boolean,
    initial: { seed: bigint; stddev: number },
  ) {
    this.#native = native;
    this.#device = device;
    this.#ownsDevice = ownsDevice;
    this.#initialSeed = initial.seed;
    this.#initialStddev = initial.stddev;
    backstop(this, native, 'ClassCenters');
  }

  /**
   * Takes memory for W [C, K, D] (and momentum) and fills it with N(0, stddev²): the same values on every device and shard layout.
   * @throws HyperArcError E_RANGE naming the field; E_MEMORY with `plan`; E_DEVICE.
   */
  static create(options: CentersOptions): ClassCenters {
    const centers = ClassCenters.#allocate(options);
    try {
      centers.#native.seedNormal(centers.#initialSeed, centers.#initialStddev);
    } catch (error) {
      centers.dispose();
      throw fromNative(error);
    }
    return centers;
  }

  static #allocate(options: CentersOptions): ClassCenters {
    const config = toNativeConfig(options);
    const initial = { seed: requireUint64('seed', options.seed ?? 0), stddev: requireStddev(options.stddev ?? 0.01) };
    const ownsDevice = !Device.isDevice(options.device);
    if (!ownsDevice && options.kernels !== undefined) {
      const fix = 'openDevice(…, { kernels }) takes it';
      throw new HyperArcError('E_RANGE', `kernels: expected none beside an open device, received one; ${fix}`);
    }
    const device = Device.isDevice(options.device)
      ? options.device
      : openDevice(options.device ?? 'auto', { kernels: options.kernels ?? 'auto' });
    try {
      return new ClassCenters(device.native.createCenters(config), device, ownsDevice, initial);
    } catch (error) {
      const failure = fromNativeWithPlan(error, () => device.native.plan(config, 1, 1));
      if (ownsDevice) device.dispose();
      throw failure;
    }
  }

  /**
   * Reads what {@link save} wrote. The file is checked whole: sizes, header and checksum.
   * @param options.precision another than the file has, e.g. 'fp32' to read centres of a GPU on a CPU.
   * @param options.momentum false leaves the momentum of the file out; by default it is as the file has it.
   * @throws HyperArcError E_FORMAT for a truncated, corrupt or foreign file; E_MEMORY; the file system's own errors.
   */
  static async load(path: string, options: LoadOptions = {}): Promise<ClassCenters> {
    return loadCenters(path, options, (shape) => ClassCenters.#allocate(shape));
  }

  /** W's shape: [C, K, D]. */
  get shape(): readonly [classes: number, subCenters: number, dim: number] {
    const { classes, subCenters, dim } = this.#native.config;
    return [classes, subCenters, dim];
  }

  /** Everything the centres were created with, defaults filled in. */
  get config(): Required<CentersShape> & { readonly seed: bigint; readonly stddev: number } {
    return { ...this.#native.config, seed: this.#initialSeed, stddev: this.#initialStddev };
  }

  get device(): Device {
    return this.#device;
  }

  /** Bytes held on the device; 0 when disposed. */
  get bytes(): number {
    return this.#native.bytes;
  }

  /** Grows at each change of the weights. */
  get weightsVersion(): number {
    return this.#native.weightsVersion;
  }

  get state(): 'live' | 'in-flight' | 'disposed' {
    return this.#native.state;
  }

  /**
   * Which kernels a step of `batch` samples runs, e.g. 'cpu-avx512', 'plain-fp32', 'mma-bf16-d512': for records.
   * @throws HyperArcError E_RANGE, E_BUSY, E_DISPOSED.
   */
  kernels(batch: number): string {
    requireInteger('batch', batch, 1, MAX_CLASSES);
    return callNative(() => this.#native.kernels(batch));
  }

  /**
   * Device time of the latest forward and update, by device events; undefined on the CPU and before the first of each. Waits for them.
   * @throws HyperArcError E_BUSY, E_DISPOSED.
   */
  lastTimes(): NativeStepTimes | undefined {
    return callNative(() => this.#native.lastTimes());
  }

  /** Number usable as the `centers` attribute of the TensorFlow op. */
  get id(): number {
    return this.#native.id;
  }

  /** @internal */
  get native(): NativeClassCenters {
    return this.#native;
  }

  /** @internal Number of calls that may have changed weights or momentum; `save` watches it. */
  get changes(): number {
    return this.#changes;
  }

  /** Fills the weights with N(0, stddev²) anew and clears the momentum. @throws HyperArcError E_RANGE, E_BUSY, E_DISPOSED. */
  seed(seed: number | bigint, stddev = 0.01): void {
    const [seed64, deviation] = [requireUint64('seed', seed), requireStddev(stddev)];
    this.#change(() => this.#native.seedNormal(seed64, deviation));
  }

  /**
   * Rows [firstRow, firstRow + rowCount) as a new array [rowCount, D]. Row r is sub-centre r mod K of class ⌊r/K⌋.
   * @throws HyperArcError E_RANGE, E_BUSY, E_DISPOSED.
   */
  readRows(firstRow: number, rowCount: number, buffer: CentersBuffer = 'weights'): Float32Array {
    requireOneOf('buffer', buffer, BUFFERS);
    return callNative(() => this.#native.readRows(buffer, firstRow, rowCount));
  }

  /**
   * Writes `values` [n, D], n ≥ 1, to the rows from `firstRow` on.
   * @throws HyperArcError E_SHAPE, E_RANGE, E_NONFINITE, E_BUSY, E_DISPOSED.
   */
  writeRows(firstRow: number, values: Float32Array, buffer: CentersBuffer = 'weights'): void {
    requireOneOf('buffer', buffer, BUFFERS);
    requireFloat32('values', values);
    this.#change(() => this.#native.writeRows(buffer, firstRow, values));
  }

  /**
   * Keeps the first min(old, new) classes; new ones get the values that `create` with this seed would have given them, and no
   * momentum. Seed and stddev are those of the creation by default.
   * @throws HyperArcError E_RANGE, E_MEMORY, E_BUSY, E_DISPOSED.
   */
  resize(classes: number, options: { readonly seed?: number | bigint; readonly stddev?: number } = {}): void {
    requireInteger('classes', classes, 1, MAX_CLASSES);
    requireObject('options', options);
    const seed = requireUint64('seed', options.seed ?? this.#initialSeed);
    const stddev = requireStddev(options.stddev ?? this.#initialStddev);
    this.#change(() => this.#native.resize(classes, seed, stddev));
  }

  /**
   * Writes weights and momentum to a safetensors file: tensors `weights` and `momentum`, F32 [C, K, D]. The file appears under its
   * name only when it is whole.
   * @throws HyperArcError E_BUSY if the centres are changed, or used by an asynchronous operation, meanwhile; E_DISPOSED; the file system's own errors.
   */
  async save(path: string): Promise<void> {
    await saveCenters(path, this);
  }

  /**
   * An empty step for `forward({..., step})`. With it `updateAsync(step, …)` can be queued behind a `forwardAsync` that is not settled yet.
   * @throws HyperArcError E_DISPOSED.
   */
  createStep(): Step {
    if (this.state === 'disposed') {
      throw new HyperArcError('E_DISPOSED', 'class centres: expected live centres, received ones that were disposed');
    }
    return new Step(callNative(() => this.#device.native.createStep()));
  }

  /**
   * Loss and gradient of a micro-batch. Weights never move.
   * @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE (a label, margin or class outside its range), E_NONFINITE, E_DEVICE (a step
   * of another device), E_BUSY, E_DISPOSED.
   */
  forward(options: BatchOptions): ForwardResult {
    const { batch, step, owned } = this.#prepare(options);
    const out = this.#outputs(batch.labels.length);
    try {
      this.#native.forward(batch, step.native, out);
    } catch (error) {
      if (owned) step.dispose();
      throw this.#explain(error, batch);
    }
    return toResult(out, step);
  }

  /** {@link forward} on the device's thread. */
  async forwardAsync(options: BatchOptions): Promise<ForwardResult> {
    const { batch, step, owned } = this.#prepare(options);
    const out = this.#outputs(batch.labels.length);
    try {
      await this.#native.forwardAsync(batch, step.native, out);
    } catch (error) {
      if (owned) step.dispose();
      throw this.#explain(error, batch);
    }
    return toResult(out, step);
  }

  /**
   * First stage of a forward pass over shards: validates, and fills the seam 'targetLogits'. Then {@link negativeSums} ('sumExp')
   * and {@link finishForward} ('embeddingGradient'); sum each seam over the shards before the next stage.
   */
  targetTerms(options: BatchOptions): Step {
    const { batch, step, owned } = this.#prepare(options);
    try {
      this.#native.targetTerms(batch, step.native);
    } catch (error) {
      if (owned) step.dispose();
      throw this.#explain(error, batch);
    }
    return step;
  }

  /** Second stage: this shard's Σ exp over its negatives. @throws HyperArcError E_RANGE for a step of another stage, E_STALE. */
  negativeSums(step: Step): void {
    callNative(() => this.#native.negativeSums(nativeStep(step)));
  }

  /** Third stage. The gradient is this shard's share: sum it over the shards. */
  finishForward(step: Step): ForwardResult {
    const out = this.#outputs(nativeStep(step).batch);
    callNative(() => this.#native.finishForward(nativeStep(step), out));
    return toResult(out, step);
  }

  /** A copy of a seam: [B], or [B, D] for the gradient. @throws HyperArcError E_RANGE before its stage. */
  getSeam(step: Step, seam: Seam): Float32Array {
    requireOneOf('seam', seam, SEAMS);
    return callNative(() => this.#native.getSeam(nativeStep(step), seam));
  }

  /** Puts the sum over the shards in the place of this shard's own values. */
  setSeam(step: Step, seam: Seam, values: Float32Array): void {
    requireOneOf('seam', seam, SEAMS);
    requireFloat32('values', values);
    callNative(() => this.#native.setSeam(nativeStep(step), seam, values));
  }

  /**
   * Moves the weights by the gradient of the mean loss over all samples of `steps`: several micro-batches equal one large batch.
   * @throws HyperArcError E_STALE if the weights moved since a step's forward, E_RANGE, E_DEVICE, E_BUSY, E_DISPOSED.
   */
  update(steps: Step | readonly Step[], options: UpdateOptions): void {
    const sgd = this.#sgd(options);
    this.#change(() => this.#native.update(nativeSteps(steps), sgd));
    this.#updates += 1;
  }

  /** {@link update} on the device's thread, after what was called before it: a step's forward may still be in flight. */
  async updateAsync(steps: Step | readonly Step[], options: UpdateOptions): Promise<void> {
    const sgd = this.#sgd(options);
    this.#changes += 1;
    this.#updates += 1;
    await callNativeAsync(() => this.#native.updateAsync(nativeSteps(steps), sgd));
  }

  /**
   * Dense dW [C, K, D] of the same mean loss, for tests and small heads. Weights do not move.
   * @throws HyperArcError E_MEMORY if dW does not fit, E_STALE, E_RANGE, E_DEVICE, E_BUSY, E_DISPOSED.
   */
  gradients(steps: Step | readonly Step[]): Float32Array {
    this.#requireGradientMemory();
    return callNative(() => this.#native.gradients(nativeSteps(steps)));
  }

  /** {@link gradients} on the device's thread. */
  async gradientsAsync(steps: Step | readonly Step[]): Promise<Float32Array> {
    this.#requireGradientMemory();
    return callNativeAsync(() => this.#native.gradientsAsync(nativeSteps(steps)));
  }

  /**
   * scale·cos θ to every class (the best of K), [B, C], without any margin: for inference and small C, since it takes 4·B·C bytes.
   * @param embeddings [B, D]
   * @throws HyperArcError E_SHAPE, E_NONFINITE, E_MEMORY, E_BUSY, E_DISPOSED.
   */
  logits(embeddings: Float32Array, options: { readonly scale?: number } = {}): Float32Array {
    const scale = requireNumber('scale', requireObject('options', options).scale ?? 1, 0, 1024);
    this.#checkLogits(embeddings);
    return scaled(
      callNative(() => this.#native.cosines(embeddings)),
      scale,
    );
  }

  /** {@link logits} on the device's thread. */
  async logitsAsync(embeddings: Float32Array, options: { readonly scale?: number } = {}): Promise<Float32Array> {
    const scale = requireNumber('scale', requireObject('options', options).scale ?? 1, 0, 1024);
    this.#checkLogits(embeddings);
    return scaled(await callNativeAsync(() => this.#native.cosinesAsync(embeddings)), scale);
  }

  /**
   * Partial FC: the classes that take part in a step, sorted local indices [n], n = max(positives, round(rate·C)): the owned labels
   * and negatives drawn without replacement, the same on every device. docs/numerics.md, "Sampler".
   * @throws HyperArcError E_RANGE, E_DTYPE, E_BUSY, E_DISPOSED.
   */
  sample(options: SampleOptions): Int32Array {
    const { labels, rate, seed, step, shard } = checkSample(options);
    return callNative(() => this.#native.sample(labels, rate, seed, step, shard));
  }

  /** {@link sample} on the device's thread. */
  async sampleAsync(options: SampleOptions): Promise<Int32Array> {
    const { labels, rate, seed, step, shard } = checkSample(options);
    return callNativeAsync(() => this.#native.sampleAsync(labels, rate, seed, step, shard));
  }

  /** Frees the memory (and the device, if these centres opened it). Operations in flight finish. A second call does nothing. */
  dispose(): void {
    this.#native.dispose();
    if (this.#ownsDevice) this.#device.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #sgd(options: UpdateOptions) {
    return toNativeSgd(options, this.#native.config.momentum, this.#updates);
  }

  #change(call: () => void): void {
    this.#changes += 1;
    callNative(call);
  }

  #explain(error: unknown, { labels, sampled }: NativeBatch): unknown {
    const { config } = this.#native;
    const rate = sampled === undefined ? 1 : Math.min(1, Math.max(1, sampled.length) / config.classes);
    return fromNativeWithPlan(error, () => this.#device.native.plan(config, labels.length, rate));
  }

  #requireGradientMemory(): void {
    const [classes, subCenters, dim] = this.shape;
    requireHostMemory('gradients', 4 * classes * subCenters * dim, 'update moves the weights without a dense gradient');
  }

  #checkLogits(embeddings: Float32Array): void {
    const [classes, , dim] = this.shape;
    requireFloat32('embeddings', embeddings);
    requireHostMemory('logits', 4 * Math.ceil(embeddings.length / dim) * classes, 'ask for fewer embeddings at a time');
  }

  #outputs(batch: number): NativeForwardOutputs {
    return {
      loss: new Float32Array(batch),
      embeddingGradient: new Float32Array(batch * this.#native.config.dim),
      targetCosine: new Float32Array(batch),
    };
  }

  #prepare(options: BatchOptions) {
    const batch = toNativeBatch(options);
    const owned = options.step === undefined;
    if (!owned) nativeStep(options.step);
    return { batch, step: options.step ?? this.createStep(), owned };
  }
}

function nativeStep(step: Step | undefined): NativeStep {
  if (Step.isStep(step)) return step.native;
  throw new HyperArcError('E_RANGE', `step: expected a Step that forward returned, received ${describeValue(step)}`);
}

function nativeSteps(steps: Step | readonly Step[]): NativeStep[] {
  return (Array.isArray(steps) ? steps : [steps]).map(nativeStep);
}

function toResult(out: NativeForwardOutputs, step: Step): ForwardResult {
  const loss = out.loss.reduce((sum, value) => sum + value, 0) / out.loss.length;
  const { loss: lossPerSample, embeddingGradient, targetCosine } = out;
  return { loss, lossPerSample, embeddingGradient, targetCosine, step };
}

function scaled(values: Float32Array, scale: number): Float32Array {
  if (scale !== 1) for (let i = 0; i < values.length; i += 1) values[i] = (values[i] ?? 0) * scale;
  return values;
}
