// Computes a loss on TensorFlow in a worker thread, with centres of its own.
import { createRequire } from 'node:module';
import util from 'node:util';
import { parentPort } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { openDevice } from '@hyperarc/kernels-cuda';
import { marginSoftmax, marginSoftmaxPath } from '@hyperarc/kernels-cuda/ops';
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray ??= Array.isArray;
createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu');
const device = openDevice('cpu');
const centers = device.createCenters({ classes: 5, dim: 4, seed: 1 });
const margin = { scale: 32, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' };
const { loss, step } = marginSoftmax(centers, tf.ones([2, 4]), new Int32Array([0, 3]), { margin });
const value = loss.dataSync()[0];
step.dispose();
device.dispose();
parentPort.postMessage({ value, path: marginSoftmaxPath() });
