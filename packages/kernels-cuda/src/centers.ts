import type { Kernels, NativeClassCenters, NativePlan } from './binding.js';
import { loadCenters, saveCenters } from './centers-file.js';
import type { InitialValues } from './centers-object.js';
import { CentersPasses } from './centers-passes.js';
import {
  requireFloat32,
  requireHostMemory,
  requireNumber,
  requireObject,
  requireStddev,
  requireUint64,
} from './checks.js';
import { Device, openDevice, type DeviceSpec } from './device.js';
import { fromNativeWithPlan, HyperArcError, withResult } from './errors.js';
import { checkSample, checkTargets, type SampleOptions, type TargetOptions } from './pass-options.js';
import { toNativeConfig, type CentersShape } from './shape.js';

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

/** Embeddings whose logits the engine computes at once, at most. */
const SAMPLES_A_TIME = 256;

/** How {@link ClassCenters.load} departs from what the file says, and where the centres live. */
export type LoadOptions = Pick<CentersOptions, 'device' | 'kernels' | 'precision' | 'momentum'>;

/**
 * Class centres W [C, K, D] with their optimizer's state, on a device: the head of a large-identity model. `forward` gives loss and gradient
 * and never moves weights; `update` moves them. docs/architecture.md, "The head's step"; docs/numerics.md for every formula.
 *
 * Every operation has a synchronous form and one that returns a promise and runs on the device's own thread, in the order of the
 * calls. While a promise is not settled, a synchronous call on the same centres or step answers E_BUSY; further asynchronous calls
 * queue. Input arrays are copied by the call. After `dispose` every call answers E_DISPOSED; operations in flight finish first.
 */
export class ClassCenters extends CentersPasses {
  private constructor(native: NativeClassCenters, device: Device, ownsDevice: boolean, initial: InitialValues) {
    super(native, device, ownsDevice, initial);
  }

  /**
   * Takes memory for W [C, K, D] (and the optimizer's state) and fills it with N(0, stddev²): the same values on every device and shard layout.
   * @throws HyperArcError E_RANGE naming the field; E_MEMORY with `plan`; E_DEVICE.
   */
  static create(options: CentersOptions): ClassCenters {
    const centers = ClassCenters.#allocate(options);
    try {
      centers.call(() => centers.native.seedNormal(centers.config.seed, centers.config.stddev));
    } catch (error) {
      centers.dispose();
      throw error;
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
   * @param options.momentum false leaves the optimizer's state of the file out: the centres then take updates of SGD without momentum; by default
   *   it is as the file has it.
   * @throws HyperArcError E_FORMAT for a truncated, corrupt or foreign file; E_MEMORY with `plan`; the file system's own errors.
   */
  static async load(path: string, options: LoadOptions = {}): Promise<ClassCenters> {
    return loadCenters(path, options, (shape) => ClassCenters.#allocate(shape));
  }

  /**
   * Writes weights and the optimizer's state to a safetensors file: tensors `weights`, `momentum` and with AdamW `secondMoment`, F32 [C, K, D], and the number
   * of its updates. The file appears under its
   * name only when it is whole.
   * @throws HyperArcError E_BUSY if the centres are changed, or used by an asynchronous operation, meanwhile; E_DISPOSED; the file system's own errors.
   */
  async save(path: string): Promise<void> {
    await saveCenters(path, this);
  }

  /**
   * scale·cos θ to every class (the best of K), [B, C], without any margin: for inference and small C, since it takes 4·B·C bytes.
   * @param embeddings [B, D]
   * @throws HyperArcError E_SHAPE, E_NONFINITE, E_MEMORY with `plan`, E_BUSY, E_DISPOSED.
   */
  logits(embeddings: Float32Array, options: { readonly scale?: number } = {}): Float32Array {
    const scale = requireNumber('scale', requireObject('options', options).scale ?? 1, 0, 1024);
    const plan = this.#checkLogits(embeddings);
    return scaled(
      this.call(() => this.native.cosines(embeddings), plan),
      scale,
    );
  }

  /** {@link logits} on the device's thread. */
  async logitsAsync(embeddings: Float32Array, options: { readonly scale?: number } = {}): Promise<Float32Array> {
    const scale = requireNumber('scale', requireObject('options', options).scale ?? 1, 0, 1024);
    const plan = this.#checkLogits(embeddings);
    return scaled(await this.callAsync(() => this.native.cosinesAsync(embeddings), plan), scale);
  }

  /**
   * cos θ between each embedding and its own centre (the best of K), [B]; 0 for labels that another shard owns. O(B·D), and nothing is
   * remembered: what margins that follow the angle need before a forward pass.
   * @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE, E_NONFINITE, E_MEMORY with `plan`, E_BUSY, E_DISPOSED.
   */
  targetCosines(options: TargetOptions): Float32Array {
    const { embeddings, labels } = checkTargets(options);
    return this.call(
      () => this.native.targetCosines(embeddings, labels),
      () => this.planOf(labels.length),
    );
  }

  /** {@link targetCosines} on the device's thread. */
  async targetCosinesAsync(options: TargetOptions): Promise<Float32Array> {
    const { embeddings, labels } = checkTargets(options);
    return this.callAsync(
      () => this.native.targetCosinesAsync(embeddings, labels),
      () => this.planOf(labels.length),
    );
  }

  /**
   * Partial FC: the classes that take part in a step, sorted local indices [n], n = max(positives, round(rate·C)): the owned labels
   * and negatives drawn without replacement, the same on every device. docs/numerics.md, "Sampler".
   * @throws HyperArcError E_RANGE, E_DTYPE, E_MEMORY with `plan`, E_BUSY, E_DISPOSED.
   */
  sample(options: SampleOptions): Int32Array {
    const { labels, rate, seed, step, shard } = checkSample(options);
    return this.call(() => this.native.sample(labels, rate, seed, step, shard));
  }

  /** {@link sample} on the device's thread. */
  async sampleAsync(options: SampleOptions): Promise<Int32Array> {
    const { labels, rate, seed, step, shard } = checkSample(options);
    return this.callAsync(() => this.native.sampleAsync(labels, rate, seed, step, shard));
  }

  /** @returns the plan with logits of these embeddings, for E_MEMORY. */
  #checkLogits(embeddings: Float32Array): () => NativePlan {
    const [classes, , dim] = this.shape;
    const batch = Math.ceil(requireFloat32('embeddings', embeddings).length / dim);
    const bytes = 4 * batch * classes;
    const plan = () => withResult(this.planOf(Math.min(batch, SAMPLES_A_TIME)), 'logits', bytes);
    this.call(() => requireHostMemory('logits', bytes, 'ask for fewer embeddings at a time'), plan);
    return plan;
  }
}

function scaled(values: Float32Array, scale: number): Float32Array {
  if (scale !== 1) for (let i = 0; i < values.length; i += 1) values[i] = (values[i] ?? 0) * scale;
  return values;
}
