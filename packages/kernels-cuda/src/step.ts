import { backstop } from './backstop.js';
import type { NativeStep } from './binding.js';

/**
 * What a forward pass remembers of one micro-batch, O(B·D) bytes: what {@link ClassCenters.update} needs. It belongs to the class
 * centres that filled it, and to their weights as they were: once those move it is stale (E_STALE).
 *
 * Give it back to `forward` as `step` to use its memory again, or dispose it.
 */
export class Step {
  readonly #native: NativeStep;

  /** @internal Made by ClassCenters. */
  constructor(native: NativeStep) {
    this.#native = native;
    backstop(this, native, 'Step');
  }

  /** Whether `value` is a real step, and not an object made to look like one. */
  static isStep(value: unknown): value is Step {
    return typeof value === 'object' && value !== null && #native in value;
  }

  /** Number usable as the `step` attribute of the TensorFlow op. */
  get id(): number {
    return this.#native.id;
  }

  /** B of the micro-batch; 0 when empty. */
  get batch(): number {
    return this.#native.batch;
  }

  get bytes(): number {
    return this.#native.bytes;
  }

  /** 'empty' until a forward pass has filled it; 'in-flight' while an asynchronous operation uses it. */
  get state(): 'empty' | 'in-flight' | 'ready' | 'disposed' {
    return this.#native.state;
  }

  /** @internal */
  get native(): NativeStep {
    return this.#native;
  }

  /** Frees the memory; an operation in flight finishes first. A second call does nothing. */
  dispose(): void {
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
