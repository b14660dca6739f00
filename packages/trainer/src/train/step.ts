import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';

import { GradientSum, type MovingAverage, type Optimizer, variableGradients } from '../optim/index.js';
import { atStep, checkEmbeddings, checkLoss, type BatchContext } from './guard.js';

/** One forward pass's worth of training data. */
export interface MicroBatch {
  /** [B, H, W, 3] in [−1, 1]. */
  images: Float32Array;
  /** [B], classes in [0, C). */
  labels: Int32Array;
  /** [B], positions in the dataset. */
  indices: ArrayLike<number>;
}

/** Rates of one update. */
export interface StepRates {
  learningRate: number;
  headLearningRate: number;
}

/** What moves the class centres, but for the rate: those of sgd or of adamw. */
export type HeadNumbers =
  { momentum: number; weightDecay: number } | { betas: readonly number[]; epsilon: number; weightDecay: number };

/** What the step needs of the margin head; PartialFC of @hyperarc/heads is one. */
export interface StepHead {
  /** Mean loss of the batch, differentiable with respect to the embeddings [B, D]; remembered until {@link update}. */
  loss(embeddings: tf.Tensor2D, labels: Int32Array): tf.Scalar;
  /** [B] cosine of each sample of the last loss to its own class centre. */
  readonly targetCosine: Float32Array;
  /** Moves the class centres by the gradient of every loss since the last update. */
  update(options: HeadNumbers & { learningRate: number; roundingStep: number }): void;
}

export interface StepParts {
  backbone: LayersModel;
  /** The backbone's trained variables; none where all of it is frozen and only the head learns. */
  variables: tf.Variable[];
  optimizer: Pick<Optimizer, 'apply'>;
  /** Takes the backbone's weights in after the update. */
  average?: Pick<MovingAverage, 'update'> | undefined;
  head: StepHead;
  inputSize: number;
  clipNorm: number | null;
  headNumbers: HeadNumbers;
  nameOf: BatchContext['nameOf'];
}

export interface StepResult {
  /** Means over the micro-batches. */
  loss: number;
  targetCosine: number;
  /** Global L2 norm of the backbone's gradient before clipping. */
  gradientNorm: number;
}

const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Forward and backward of one micro-batch. The caller disposes the gradients. */
function backward(
  parts: StepParts,
  batch: MicroBatch,
  context: BatchContext,
): { loss: number; grads: tf.NamedTensorMap } {
  const { backbone, head, inputSize, variables } = parts;
  const images = tf.tensor4d(batch.images, [batch.labels.length, inputSize, inputSize, 3]);
  try {
    const forward = (): tf.Scalar => {
      const embeddings = backbone.apply(images, { training: true }) as tf.Tensor2D;
      checkEmbeddings(embeddings.dataSync() as Float32Array, embeddings.shape[1], context);
      return head.loss(embeddings, batch.labels);
    };
    const { value, grads } =
      variables.length > 0 ? variableGradients(forward, variables) : { value: tf.tidy(forward), grads: {} };
    const loss = value.dataSync()[0]!;
    value.dispose();
    return { loss, grads };
  } finally {
    images.dispose();
  }
}

/**
 * One update of backbone and head from one or more micro-batches of equal size: gradients are those of the mean loss over all samples.
 * Order: loss and gradients of each, then the backbone, then the head, then the average of the backbone's weights.
 * @param step 1-based number of the update, for messages.
 * @throws HyperArcError E_NONFINITE naming the embedding rows, the loss or the variables that are not finite. No weight has moved then.
 */
export function trainStep(
  parts: StepParts,
  batches: readonly MicroBatch[],
  rates: StepRates,
  step: number,
): StepResult {
  const share = 1 / batches.length;
  const result = { loss: 0, targetCosine: 0, gradientNorm: 0 };
  const sum = new GradientSum();
  try {
    for (const batch of batches) {
      const context: BatchContext = { step, indices: batch.indices, nameOf: parts.nameOf };
      const { loss, grads } = atStep(context, () => backward(parts, batch, context));
      try {
        checkLoss(loss, context);
        sum.add(grads, share);
      } finally {
        tf.dispose(grads);
      }
      result.loss += loss * share;
      result.targetCosine += mean(parts.head.targetCosine) * share;
    }
    const last: BatchContext = { step, indices: batches.at(-1)!.indices, nameOf: parts.nameOf };
    const gradients = sum.take();
    try {
      const clipNorm = parts.clipNorm ?? undefined;
      if (parts.variables.length > 0) {
        result.gradientNorm = atStep(
          last,
          () => parts.optimizer.apply(gradients, rates.learningRate, { clipNorm }).gradNorm,
        );
      }
    } finally {
      tf.dispose(gradients);
    }
    parts.head.update({
      learningRate: rates.headLearningRate,
      ...parts.headNumbers,
      // The same in a resumed run: stochastic rounding then draws the same numbers.
      roundingStep: step,
    });
    parts.average?.update();
    return result;
  } finally {
    sum.dispose();
  }
}
