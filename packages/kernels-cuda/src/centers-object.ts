import { backstop } from './backstop.js';
import type { NativeClassCenters, NativePlan, NativeStepTimes } from './binding.js';
import { requireInteger } from './checks.js';
import type { Device } from './device.js';
import { callNative, callNativeAsync } from './errors.js';
import { MAX_CLASSES, type CentersShape } from './shape.js';

/** Where the values come from that nobody wrote: seed in [0, 2^64), standard deviation. */
export interface InitialValues {
  readonly seed: bigint;
  readonly stddev: number;
}

/** What class centres are, whatever is done with them: native object, device, shape, state and end. */
export abstract class CentersObject {
  readonly #native: NativeClassCenters;
  readonly #device: Device;
  readonly #ownsDevice: boolean;
  readonly #initial: InitialValues;
  #changes = 0;

  protected constructor(native: NativeClassCenters, device: Device, ownsDevice: boolean, initial: InitialValues) {
    this.#native = native;
    this.#device = device;
    this.#ownsDevice = ownsDevice;
    this.#initial = initial;
    backstop(this, native, 'ClassCenters');
  }

  /** W's shape: [C, K, D]. */
  get shape(): readonly [classes: number, subCenters: number, dim: number] {
    const { classes, subCenters, dim } = this.#native.config;
    return [classes, subCenters, dim];
  }

  /** Everything the centres were created with, defaults filled in. */
  get config(): Required<CentersShape> & { readonly seed: bigint; readonly stddev: number } {
    return { ...this.#native.config, ...this.#initial };
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

  /**
   * AdamW: the number of updates so far, of all rows together: t of the bias corrections. 0 with 'sgd'. As it was before an operation
   * that is in flight.
   */
  get updates(): number {
    return this.#native.updates;
  }

  get state(): 'live' | 'in-flight' | 'disposed' {
    return this.#native.state;
  }

  /**
   * Which kernels a step of `batch` samples over all classes runs, e.g. 'cpu-avx512', 'plain-fp32', 'mma-bf16-d512 (few samples)',
   * 'mma-bf16-d512 (build without sm_90a)': for records.
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

  /** @internal Number of calls that may have changed weights or the optimizer's state; `save` watches it. */
  get changes(): number {
    return this.#changes;
  }

  /** @internal What these centres and a step of `samples` samples take; of `sampled` classes, all by default. */
  planOf(samples: number, sampled?: number): NativePlan {
    const { config } = this.#native;
    const rate = sampled === undefined ? 1 : Math.min(1, Math.max(1, sampled) / config.classes);
    return this.#device.native.plan(config, Math.max(1, samples), rate);
  }

  /** Frees the memory (and the device, if these centres opened it). Operations in flight finish. A second call does nothing. */
  dispose(): void {
    this.#native.dispose();
    if (this.#ownsDevice) this.#device.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Counts a change of weights or of the optimizer's state. */
  protected countChange(): void {
    this.#changes += 1;
  }

  /** Calls the engine. E_MEMORY carries `plan`, by default that of a step of one sample. */
  protected call<T>(call: () => T, plan = () => this.planOf(1)): T {
    return callNative(call, plan);
  }

  /** {@link call} of what answers with a promise. */
  protected callAsync<T>(call: () => Promise<T>, plan = () => this.planOf(1)): Promise<T> {
    return callNativeAsync(call, plan);
  }

  /** {@link call} of what changes weights or the optimizer's state. */
  protected change(call: () => void, plan?: () => NativePlan): void {
    this.countChange();
    this.call(call, plan);
  }
}
