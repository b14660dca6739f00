// Loads a tfjs model with TensorFlow.js alone and prints its embeddings as JSON. Usage: node load_plain.mjs FOLDER INPUT.json
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-wasm';

const [folder, input] = process.argv.slice(2);
tf.env().set('PROD', true);
await tf.setBackend('wasm');
const { modelTopology, weightsManifest } = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
const [{ paths, weights: weightSpecs }] = weightsManifest;
const bytes = readFileSync(join(folder, paths[0]));
const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const model = await loadLayersModel({ load: async () => ({ modelTopology, weightSpecs, weightData }) });
const { shape, values } = JSON.parse(readFileSync(input, 'utf8'));
console.log(JSON.stringify([...model.predict(tf.tensor(values, shape)).dataSync()]));
