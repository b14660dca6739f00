import { Worker } from 'node:worker_threads';

import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';

import { marginSoftmax } from '../../dist/ops/index.js';
import { hasTensorFlow, makeProblem, rule } from './support.js';

function runWorker(): Promise<{ value: number; path: string }> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./tensorflow-worker.mjs', import.meta.url));
    let message: { value: number; path: string };
    worker.on('message', (received: typeof message) => (message = received));
    worker.on('error', reject);
    worker.on('exit', (code) => (code === 0 ? resolve(message) : reject(new Error(`worker exit code ${code}`))));
  });
}

describe.runIf(hasTensorFlow)('the TensorFlow op in worker threads', () => {
  it('works in workers and, after they have ended, in the main thread', async () => {
    const [first, second] = [await runWorker(), await runWorker()];
    expect(first).toEqual({ value: expect.any(Number), path: 'tensorflow-op' });
    expect(first.value).toBeGreaterThan(0);
    expect(second).toEqual(first);

    await tf.setBackend('tensorflow');
    const { centers, labels, embeddings, batch, dim } = makeProblem();
    const x = tf.tensor2d(embeddings, [batch, dim]);
    const { loss } = marginSoftmax(centers, x, labels, { margin: rule });
    expect(Number.isFinite(loss.dataSync()[0])).toBe(true);
    centers.device.dispose();
  });
});
