import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { PartialFC } from '@hyperarc/heads/engine';

/** tfjs holds what the backward pass would have needed, all activations, when a forward pass throws inside the gradient tape. */
function dropTape(): void {
  const { state } = tf.engine();
  for (const { saved } of state.activeTape ?? []) tf.dispose(saved ?? []);
  state.activeTape = [];
}

/**
 * What a forward pass in training changes, though no update follows: running statistics and dropout counters of the backbone, the
 * sampler's step and what the margin has learnt, and the micro-batches that the head remembers. Taken before a step, it can be put
 * back after one that failed. Takes no copies: a weight that moves gets a new tensor, and the old one is held until `dispose`.
 */
export class ForwardState implements Disposable {
  readonly #weights: { weight: LayersModel['weights'][number]; value: tf.Tensor }[];
  readonly #head: ReturnType<PartialFC['state']>;

  constructor(
    backbone: LayersModel,
    private readonly head: PartialFC,
  ) {
    this.#weights = backbone.nonTrainableWeights.map((weight) => ({ weight, value: tf.keep(tf.clone(weight.read())) }));
    this.#head = head.state();
  }

  /** Puts everything back to when this was taken. May be called again. */
  restore(): void {
    dropTape();
    for (const { weight, value } of this.#weights) weight.write(value);
    this.head.discard();
    this.head.loadState(this.#head);
  }

  [Symbol.dispose](): void {
    tf.dispose(this.#weights.splice(0).map(({ value }) => value));
  }
}
