import '@tensorflow/tfjs-backend-cpu';
import {
  arcFace,
  classify,
  HyperArcError,
  MarginHead,
  marginLogits,
  marginSoftmaxLoss,
  softmaxLoss,
  tripletLoss,
  type MarginSpec,
} from '@hyperarc/heads';
import * as tf from '@tensorflow/tfjs-core';

await tf.setBackend('cpu');
const margin: MarginSpec = arcFace({ margin: 0.4 });
const head = new MarginHead({ classes: 3, dim: 2, margin, seed: 1n });
const embeddings: tf.Tensor2D = tf.tensor2d([1, 0, 0, 1, 1, 1], [3, 2]);
const loss: tf.Scalar = head.loss(embeddings, [0, 1, 2]);
const logits: tf.Tensor2D = marginLogits(tf.tensor2d([0.5, 0.1], [1, 2]), Int32Array.of(1), margin);
try {
  head.loss(embeddings, [0, 1, 3]);
} catch (error) {
  if (!(error instanceof HyperArcError)) throw error;
  console.log(error.code, logits.shape.join('x'), Number.isFinite(loss.dataSync()[0]));
}
// Tensors of no stated rank, as tfjs's own operations answer them, pass the type check.
const answered: tf.Tensor = tf.mul(embeddings, 2);
const weights = tf.variable(tf.randomNormal([3, 2]));
const ofAnswered = (): tf.Scalar[] => [
  head.loss(answered, [0, 1, 2]),
  marginSoftmaxLoss(answered, weights, [0, 1, 2], margin),
  softmaxLoss(answered, weights, tf.variable(tf.zeros([3])), [0, 1, 2]),
  tripletLoss(answered, [0, 0, 1]),
];
void [ofAnswered, () => classify(head, answered), () => marginLogits(answered, [0, 1, 1], margin)];
// @ts-expect-error: a margin that is not a number does not pass the type check
const misuse = () => arcFace({ margin: 'large' });
void misuse;
