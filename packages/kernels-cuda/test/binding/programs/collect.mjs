// Run with --expose-gc. Makes class centres and devices that nobody disposes, and prints the peak of what they held together.
import { setImmediate } from 'node:timers/promises';

import { openDevice } from '../../../dist/index.js';

const bytesEach = 2 * 4 * 10_000 * 100;
const count = 40;
for (let i = 0; i < count; i += 1) {
  const centers = openDevice(process.env.HYPERARC_TEST_DEVICE ?? 'cpu', { threads: 1 }).createCenters({
    classes: 10_000,
    dim: 100,
  });
  centers.forward({
    embeddings: new Float32Array(100).fill(1),
    labels: Int32Array.of(i),
    margin: { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' },
  });
  if (i % 5 === 4) {
    globalThis.gc();
    await setImmediate();
  }
}
console.log(JSON.stringify({ madeBytes: count * bytesEach, peakBytes: process.resourceUsage().maxRSS * 1024 }));
