import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { timeLayers } from '../../dist/layers/index.js';
import { backends, useBackend } from './backends.js';

describe.each(backends)('timeLayers on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  it('times every pair, leaving nothing behind', () => {
    const before = tf.memory().numTensors;
    const timings = timeLayers({ shape: [2, 4, 4, 3], repetitions: 1 });
    expect(timings.map((timing) => timing.layer)).toEqual(['batch norm', 'PReLU']);
    for (const { fusedMs, stockMs, speedup, ...rest } of timings) {
      expect(rest).toMatchObject({ backend, shape: [2, 4, 4, 3] });
      expect(speedup).toBeCloseTo(stockMs / fusedMs, 6);
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});
