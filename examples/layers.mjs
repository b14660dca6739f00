// A margin softmax under model.compile and model.fit: trains, saves the model with the margin's state, loads both, and gives embeddings.
//   node examples/layers.mjs
import '@tensorflow/tfjs-backend-cpu';
import { curricularFace } from '@hyperarc/heads';
import { ClassCosines, marginLoss } from '@hyperarc/heads/layers';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

await tf.setBackend('cpu');
const [identities, inputs, dim] = [20, 16, 8];

// Samples scattered around one direction for each identity; every fifth is held back for validation.
const classes = Array.from({ length: 200 }, (_, i) => i % identities);
const directions = tf.randomNormal([identities, inputs], 0, 1, 'float32', 1);
const noise = tf.randomNormal([classes.length, inputs], 0, 0.3, 'float32', 2);
const samples = tf.add(tf.gather(directions, tf.tensor1d(classes, 'int32')), noise);
const labels = tf.tensor2d(classes, [classes.length, 1], 'int32');
const split = (rows) => [tf.slice(rows, [0, 0], [160, -1]), tf.slice(rows, [160, 0], [40, -1])];
const [[x, heldX], [y, heldY]] = [split(samples), split(labels)];

// The last layer but one gives the embedding; ClassCosines holds the class centres.
const embedding = tfl.layers.dense({ units: dim, inputShape: [inputs], useBias: false, name: 'embedding' });
const model = tfl.sequential({
  layers: [embedding, new ClassCosines({ units: identities, seed: 3, name: 'cosines' })],
});
const margin = curricularFace({ scale: 16, margin: 0.3 });
const loss = marginLoss(margin, { classes: identities });
model.compile({ optimizer: tf.train.adam(0.02), loss, metrics: [loss.accuracy] });
const { history } = await model.fit(x, y, { epochs: 20, verbose: 0, validationData: [heldX, heldY] });
const last = (name) => history[name].at(-1).toFixed(3);
console.log(`loss ${history.loss[0].toFixed(3)} → ${last('loss')}, accuracy held back ${last('val_accuracy')}`);

// What a file or a database would hold: the model, and beside it the state of a margin that adapts.
let saved;
await model.save(tf.io.withSaveHandler(async (artifacts) => ((saved = artifacts), { modelArtifactsInfo: {} })));
const state = JSON.stringify(loss.state());

const loaded = await tfl.loadLayersModel(tf.io.fromMemory(saved));
const resumed = marginLoss(margin, { classes: identities });
resumed.loadState(JSON.parse(state));
loaded.compile({ optimizer: tf.train.adam(0.02), loss: resumed });
const [before, after] = [model.evaluate(heldX, heldY)[0], loaded.evaluate(heldX, heldY)];
console.log(
  `loss of the loaded model: ${after.dataSync()[0].toFixed(5)}, of the saved one: ${before.dataSync()[0].toFixed(5)}`,
);

const embedder = tfl.model({ inputs: loaded.inputs, outputs: loaded.getLayer('embedding').output });
console.log(`embeddings: [ ${embedder.predict(heldX).shape.join(', ')} ]`);
