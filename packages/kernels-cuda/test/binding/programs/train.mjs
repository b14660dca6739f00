// Trains class centres for a few steps and answers with their bits: in a worker thread, or as a program that prints them.
import { createHash } from 'node:crypto';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';

import { openDevice } from '../../../dist/index.js';

const shape = { classes: 301, dim: 48, batch: 16 };
const margin = { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' };
// CurricularFace: negatives above what the target has become count for more.
const identity = { value: [0, 1, 0], slope: [1, 0] };
const hardened = (t) => ({ threshold: 'target', above: { value: [0, t, 1], slope: [t, 2] }, below: identity });
const steps = workerData?.steps ?? 8;

const device = openDevice(process.env.HYPERARC_TEST_DEVICE ?? 'cpu', { threads: 1 });
const centers = device.createCenters({ ...shape, seed: 3 });
const rowGradients = createHash('sha256');
let loss = 0;
for (let i = 0; i < steps; i += 1) {
  const embeddings = Float32Array.from({ length: shape.batch * shape.dim }, (_, j) => Math.sin(j * 1.7 + i));
  const labels = Int32Array.from({ length: shape.batch }, (_, j) => (j * 31 + i) % shape.classes);
  const [easiest] = (await centers.targetCosinesAsync({ embeddings, labels })).sort().reverse();
  const rule = { ...margin, negatives: hardened(easiest) };
  const result = await centers.forwardAsync({ embeddings, labels, margin: rule });
  rowGradients.update(result.rowGradient);
  await centers.updateAsync(result.step, { learningRate: 0.1 });
  result.step.dispose();
  loss = result.loss;
}
const digest = createHash('sha256').update(centers.readRows(0, shape.classes)).digest('hex');
const answer = { loss, digest, rowGradients: rowGradients.digest('hex') };
device.dispose();
if (isMainThread) console.log(JSON.stringify(answer));
else parentPort?.postMessage(answer);
