import type { MarginRule } from '@hyperarc/kernels-cuda/margin';
import type * as tf from '@tensorflow/tfjs-core';

/** A batch that a margin adapts to. */
export interface AdapterBatch {
  /** float32 [B, D]; only margins for which `needsNorms` holds look at them, and not where `norms` are given. */
  readonly embeddings?: tf.Tensor;
  /** float32 [B, 1] ‖x‖ of each embedding, differentiable with respect to what the gradient shall reach. */
  readonly norms?: tf.Tensor2D;
  /** [B] class indices in [0, C) */
  readonly labels: Int32Array;
}

/** A batch of training, with what some margins ask the head for; each is called at most once. */
export interface TrainingBatch extends AdapterBatch {
  /** Cosine of each embedding with the centre of its class (the winner of K): B numbers, or a tensor of them. */
  targetCosines(): ArrayLike<number> | tf.Tensor;
  /** ln Σ_{j≠y} e^(scale·cosθ_j) of each embedding over the classes that take part in the loss: B numbers, or a tensor of them. */
  negativeLogSums(scale: number): ArrayLike<number> | tf.Tensor;
}

/** Numbers that follow the embeddings' norms ‖x‖, and their derivatives by those. Both [B, 1]. */
export interface OfNorms {
  readonly values: tf.Tensor2D;
  readonly byNorm: tf.Tensor2D;
}

/** One of the four numbers of each sample: [B] numbers without a gradient, or a function of ‖x‖ with one. */
export type Column = Float32Array | ((norms: tf.Tensor2D) => OfNorms);

export const COLUMNS = ['scale', 'm1', 'm2', 'm3'] as const;
export type ColumnName = (typeof COLUMNS)[number];

/** What an adaptation does to a batch. */
export interface Contribution {
  readonly columns?: Partial<Record<ColumnName, Column>>;
  /** What of the rule changes for every sample. */
  readonly rule?: Partial<Pick<MarginRule, 'scale' | 'blend' | 'negatives'>>;
  /** A term of the loss: its sum over the batch is added. */
  readonly penalty?: (norms: tf.Tensor2D) => OfNorms;
}

/** An adaptation at work, with state S: plain JSON, null for none. Its functions change nothing. */
export interface AdaptationRuntime<S = unknown> {
  readonly initial: S;
  /** What a training batch gets, and the state that it leaves behind. */
  train(state: S, batch: TrainingBatch): { readonly contribution: Contribution; readonly state: S };
  /** What a batch gets in evaluation. */
  evaluate(state: S, batch: AdapterBatch): Contribution;
  /** `saved` as a state. @throws HyperArcError E_FORMAT naming the field under `name`. */
  read(name: string, saved: unknown): S;
}

/** An adaptation that looks at the batch alone. */
export function stateless(contribute: (batch: AdapterBatch) => Contribution): AdaptationRuntime<null> {
  return {
    initial: null,
    train: (state, batch) => ({ contribution: contribute(batch), state }),
    evaluate: (_, batch) => contribute(batch),
    read: () => null,
  };
}
