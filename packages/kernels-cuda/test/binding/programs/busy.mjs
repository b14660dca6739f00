// Fills the queue of a device, says so, and keeps it full: something to be torn down in flight.
import { parentPort } from 'node:worker_threads';

import { openDevice } from '../../../dist/index.js';

// The host harness runs one thread of a GPU at a time.
const shape = process.env.HYPERARC_REQUIRE_CUDA
  ? { classes: 700, dim: 24, batch: 8 }
  : { classes: 20_000, dim: 64, batch: 32 };
const margin = { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' };
const embeddings = Float32Array.from({ length: shape.batch * shape.dim }, (_, j) => Math.sin(j * 1.7));
const labels = Int32Array.from({ length: shape.batch }, (_, j) => j);

const centers = openDevice(process.env.HYPERARC_TEST_DEVICE ?? 'cpu', { threads: 2 }).createCenters(shape);
const queue = () => {
  const step = centers.createStep();
  return [
    centers.forwardAsync({ embeddings, labels, margin, step }),
    centers.targetCosinesAsync({ embeddings, labels }),
    centers.updateAsync(step, { learningRate: 0.1 }),
  ];
};
const flights = Array.from({ length: 50 }, queue).flat();
flights.push(centers.gradientsAsync(centers.createStep()).catch(() => undefined));
await flights[0];
if (process.argv[2] === 'exit') process.exit(0);
if (process.argv[2] === 'throw') throw new Error('on purpose');
if (process.argv[2] === 'drop') {
  centers.device.dispose();
} else {
  parentPort?.postMessage('in flight');
}
await Promise.all(flights);
