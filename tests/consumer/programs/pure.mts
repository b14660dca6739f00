import '@tensorflow/tfjs-backend-cpu';
import { arcFace, HyperArcError, MarginHead, marginLogits, type MarginSpec } from '@hyperarc/heads';
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
// @ts-expect-error: a margin that is not a number does not pass the type check
const misuse = () => arcFace({ margin: 'large' });
void misuse;
