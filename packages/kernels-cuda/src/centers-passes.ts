import type { NativeForwardOutputs, NativePlan, NativeStep } from './binding.js';
import { CentersRows } from './centers-rows.js';
import { describeValue, requireFloat32, requireHostMemory, requireOneOf } from './checks.js';
import { callNative, fromNativeWithPlan, HyperArcError, withResult } from './errors.js';
import {
  toNativeBatch,
  toNativeUpdate,
  type BatchOptions,
  type ForwardResult,
  type UpdateOptions,
} from './pass-options.js';
import { Step } from './step.js';

/** What crosses shards; sum each over the shards between the stages of a forward pass. */
export type Seam = 'targetLogits' | 'targetThreshold' | 'sumExp' | 'embeddingGradient' | 'rowGradient';

const SEAMS: readonly Seam[] = ['targetLogits', 'targetThreshold', 'sumExp', 'embeddingGradient', 'rowGradient'];

/** Class centres with the two passes over them: forward, whole or in stages, and update or dense gradient. */
export abstract class CentersPasses extends CentersRows {
  #updateCalls = 0;

  /**
   * An empty step for `forward({..., step})`. With it `updateAsync(step, …)` can be queued behind a `forwardAsync` that is not settled yet.
   * @throws HyperArcError E_DISPOSED.
   */
  createStep(): Step {
    if (this.state === 'disposed') {
      throw new HyperArcError('E_DISPOSED', 'class centres: expected live centres, received ones that were disposed');
    }
    return new Step(callNative(() => this.device.native.createStep()));
  }

  /**
   * Loss and gradient of a micro-batch. Weights never move.
   * @throws HyperArcError E_DTYPE, E_SHAPE, E_RANGE (a label, margin or class outside its range), E_NONFINITE, E_DEVICE (a step
   * of another device), E_MEMORY with `plan`, E_BUSY, E_DISPOSED.
   */
  forward(options: BatchOptions): ForwardResult {
    const { batch, step, owned, plan } = this.#prepare(options);
    const out = this.#outputs(batch.labels.length);
    try {
      this.native.forward(batch, step.native, out);
    } catch (error) {
      if (owned) step.dispose();
      throw fromNativeWithPlan(error, plan);
    }
    return toResult(out, step);
  }

  /** {@link forward} on the device's thread. */
  async forwardAsync(options: BatchOptions): Promise<ForwardResult> {
    const { batch, step, owned, plan } = this.#prepare(options);
    const out = this.#outputs(batch.labels.length);
    try {
      await this.native.forwardAsync(batch, step.native, out);
    } catch (error) {
      if (owned) step.dispose();
      throw fromNativeWithPlan(error, plan);
    }
    return toResult(out, step);
  }

  /**
   * First stage of a forward pass over shards: validates, and fills the seams 'targetLogits' and 'targetThreshold'. Then {@link negativeSums} ('sumExp')
   * and {@link finishForward} ('embeddingGradient'); sum each seam over the shards before the next stage.
   */
  targetTerms(options: BatchOptions): Step {
    const { batch, step, owned, plan } = this.#prepare(options);
    try {
      this.native.targetTerms(batch, step.native);
    } catch (error) {
      if (owned) step.dispose();
      throw fromNativeWithPlan(error, plan);
    }
    return step;
  }

  /** Second stage: this shard's Σ exp over its negatives. @throws HyperArcError E_RANGE for a step of another stage, E_STALE, E_MEMORY with `plan`. */
  negativeSums(step: Step): void {
    // A stage that fails leaves an empty step.
    const { batch } = nativeStep(step);
    this.call(
      () => this.native.negativeSums(step.native),
      () => this.planOf(batch),
    );
  }

  /** Third stage. The gradient is this shard's share: sum it over the shards. */
  finishForward(step: Step): ForwardResult {
    const { batch } = nativeStep(step);
    const out = this.#outputs(batch);
    this.call(
      () => this.native.finishForward(step.native, out),
      () => this.planOf(batch),
    );
    return toResult(out, step);
  }

  /** A copy of a seam: [B], or [B, D] for the gradient. @throws HyperArcError E_RANGE before its stage. */
  getSeam(step: Step, seam: Seam): Float32Array {
    requireOneOf('seam', seam, SEAMS);
    return this.call(() => this.native.getSeam(nativeStep(step), seam));
  }

  /** Puts the sum over the shards in the place of this shard's own values. */
  setSeam(step: Step, seam: Seam, values: Float32Array): void {
    requireOneOf('seam', seam, SEAMS);
    requireFloat32('values', values);
    this.call(() => this.native.setSeam(nativeStep(step), seam, values));
  }

  /**
   * Moves the weights, by the optimizer that the centres were made with, along the gradient of the mean loss over all samples of `steps`: several micro-batches equal one large batch.
   * @throws HyperArcError E_STALE if the weights moved since a step's forward, E_MEMORY with `plan`, E_RANGE, E_DEVICE, E_BUSY, E_DISPOSED.
   */
  update(steps: Step | readonly Step[], options: UpdateOptions): void {
    const native = this.#updateOptions(options);
    this.change(
      () => this.native.update(nativeSteps(steps), native),
      () => this.#plan(steps),
    );
    this.#updateCalls += 1;
  }

  /** {@link update} on the device's thread, after what was called before it: a step's forward may still be in flight. */
  async updateAsync(steps: Step | readonly Step[], options: UpdateOptions): Promise<void> {
    const native = this.#updateOptions(options);
    this.countChange();
    this.#updateCalls += 1;
    await this.callAsync(
      () => this.native.updateAsync(nativeSteps(steps), native),
      () => this.#plan(steps),
    );
  }

  /**
   * Dense dW [C, K, D] of the same mean loss, for tests and small heads. Weights do not move.
   * @throws HyperArcError E_MEMORY with `plan` if dW does not fit, E_STALE, E_RANGE, E_DEVICE, E_BUSY, E_DISPOSED.
   */
  gradients(steps: Step | readonly Step[]): Float32Array {
    const plan = () => this.#gradientPlan(steps);
    this.#requireGradientMemory(plan);
    return this.call(() => this.native.gradients(nativeSteps(steps)), plan);
  }

  /** {@link gradients} on the device's thread. */
  async gradientsAsync(steps: Step | readonly Step[]): Promise<Float32Array> {
    const plan = () => this.#gradientPlan(steps);
    this.#requireGradientMemory(plan);
    return this.callAsync(() => this.native.gradientsAsync(nativeSteps(steps)), plan);
  }

  /** What a pass 2 over these steps takes at most: they may have drawn any of the classes. */
  #plan(steps: Step | readonly Step[]): NativePlan {
    const samples = nativeSteps(steps).reduce((sum, { batch }) => sum + batch, 0);
    return this.planOf(samples);
  }

  /** The same with the dense gradient, which is in host memory. */
  #gradientPlan(steps: Step | readonly Step[]): NativePlan {
    return withResult(this.#plan(steps), 'dense gradient', this.#gradientBytes());
  }

  #gradientBytes(): number {
    const [classes, subCenters, dim] = this.shape;
    return 4 * classes * subCenters * dim;
  }

  #requireGradientMemory(plan: () => NativePlan): void {
    const fix = 'update moves the weights without a dense gradient';
    this.call(() => requireHostMemory('gradients', this.#gradientBytes(), fix), plan);
  }

  #updateOptions(options: UpdateOptions) {
    return toNativeUpdate(options, this.native.config, this.#updateCalls);
  }

  #outputs(batch: number): NativeForwardOutputs {
    return {
      loss: new Float32Array(batch),
      embeddingGradient: new Float32Array(batch * this.native.config.dim),
      targetCosine: new Float32Array(batch),
      rowGradient: new Float32Array(4 * batch),
    };
  }

  #prepare(options: BatchOptions) {
    const batch = toNativeBatch(options);
    const owned = options.step === undefined;
    if (!owned) nativeStep(options.step);
    const plan = () => this.planOf(batch.labels.length, batch.sampled?.length);
    return { batch, step: options.step ?? this.createStep(), owned, plan };
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
  const { loss: lossPerSample, embeddingGradient, targetCosine, rowGradient } = out;
  return { loss, lossPerSample, embeddingGradient, targetCosine, rowGradient, step };
}
