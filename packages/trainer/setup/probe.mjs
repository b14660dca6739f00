// Run as a child process: loads @tensorflow/tfjs-node-gpu, checks one product, prints its version as JSON.
import { createRequire } from 'node:module';
import util from 'node:util';

// tfjs-node 4.22 calls two functions of util that Node 23 has removed or made noisy.
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray = Array.isArray;
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu');
const product = tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]])).dataSync()[0];
if (product !== 11) throw new Error(`TensorFlow computed 1·3 + 2·4 = ${product}`);
const backend = tf.backend();
console.log(
  JSON.stringify({ tensorflowVersion: backend.binding.TF_Version, usesGpu: Boolean(backend.isUsingGpuDevice) }),
);
