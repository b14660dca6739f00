import '@tensorflow/tfjs-backend-cpu';
import { arcFace, HyperArcError } from '@hyperarc/heads';
import { PartialFC } from '@hyperarc/heads/engine';
import * as tf from '@tensorflow/tfjs-core';

await tf.setBackend('cpu');
try {
  using head = new PartialFC({ classes: 1000, dim: 8, margin: arcFace(), rate: 0.1, device: 'cpu' });
  const embeddings = tf.randomNormal([4, 8], 0, 1, 'float32', 1);
  const losses = [0, 1].map(() => {
    const loss = head.loss(embeddings, [0, 7, 500, 999]).dataSync()[0] ?? NaN;
    head.update({ learningRate: 0.1 });
    return loss;
  });
  console.log('trained', losses[1]! < losses[0]!);
} catch (error) {
  if (!(error instanceof HyperArcError)) throw error;
  console.log(error.message);
}
