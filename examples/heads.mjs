// The two heads side by side on a toy problem: plain tfjs ops, and the HyperArc engine with partial FC, and a margin that adapts.
//   node examples/heads.mjs
import '@tensorflow/tfjs-backend-cpu';
// Brings the gradients of tfjs's own ops.
import '@tensorflow/tfjs-layers';
import { arcFace, curricularFace, MarginHead } from '@hyperarc/heads';
import { PartialFC } from '@hyperarc/heads/engine';
import * as tf from '@tensorflow/tfjs-core';

await tf.setBackend('cpu');
const [identities, inputs, dim, batchSize, steps] = [40, 16, 12, 20, 120];
const margin = arcFace({ scale: 16, margin: 0.3 });

// Samples scattered around one direction for each identity, and a backbone of one matrix.
const labels = Int32Array.from({ length: 160 }, (_, i) => i % identities);
const directions = tf.randomNormal([identities, inputs], 0, 1, 'float32', 1);
const noise = tf.randomNormal([labels.length, inputs], 0, 0.3, 'float32', 2);
const samples = tf.add(tf.gather(directions, tf.tensor1d(labels, 'int32')), noise);
const newBackbone = () => tf.variable(tf.randomNormal([inputs, dim], 0, 0.3, 'float32', 3));
const optimizer = tf.train.sgd(0.05);

/** Trains `backbone` under `lossOf(embeddings, labels)` and prints how the loss falls. */
function train(name, backbone, headVariables, lossOf, afterStep) {
  for (let step = 0; step <= steps; step++) {
    const start = (step * batchSize) % labels.length;
    const batchLabels = labels.slice(start, start + batchSize);
    const embed = () => tf.matMul(tf.slice(samples, start, batchSize), backbone);
    const loss = optimizer.minimize(() => lossOf(embed(), batchLabels), true, [backbone, ...headVariables]);
    afterStep();
    if (step % 60 === 0) console.log(`${name}  step ${step}  loss ${loss.dataSync()[0].toFixed(3)}`);
    loss.dispose();
  }
}

// Plain tfjs: the centres are a variable like any other, and tfjs's optimizer moves them.
const head = new MarginHead({ classes: identities, dim, margin });
train(
  'tfjs head  ',
  newBackbone(),
  [head.centers],
  (x, y) => head.loss(x, y),
  () => {},
);

// Engine: `loss` back-propagates to the embeddings alone and `update` moves the centres, here 30 of 40 classes a step.
const fc = new PartialFC({ classes: identities, dim, margin, rate: 0.75 });
const backbone = newBackbone();
train(
  'engine head',
  backbone,
  [],
  (x, y) => fc.loss(x, y),
  () => fc.update({ learningRate: 0.05 }),
);

// A margin that adapts learns with the head, and goes on from its state: CurricularFace's t follows the mean target cosine.
const adaptive = () => new MarginHead({ classes: identities, dim, margin: curricularFace({ scale: 16, margin: 0.3 }) });
const curricular = adaptive();
train(
  'CurricularFace',
  newBackbone(),
  [curricular.centers],
  (x, y) => curricular.loss(x, y),
  () => {},
);
const saved = JSON.stringify(curricular.state());
console.log(saved);
const resumed = adaptive();
resumed.loadState(JSON.parse(saved));

const { targetCosine } = await fc.evaluate(tf.matMul(samples, backbone), labels);
const mean = targetCosine.reduce((sum, cosine) => sum + cosine, 0) / targetCosine.length;
console.log(`mean cosine of embeddings with their own centres: ${mean.toFixed(2)}`);
for (const each of [head, fc, curricular, resumed]) each.dispose();
