import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';

import { SeededDropout } from '../../dist/layers/index.js';
import { backends, useBackend } from './backends.js';

describe.each(backends)('SeededDropout on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });
  const draw = (layer: SeededDropout) => [
    ...(layer.apply(tf.ones([50, 40]), { training: true }) as tf.Tensor).dataSync(),
  ];

  it('drops the given share and keeps the mean', () => {
    const mask = draw(new SeededDropout({ rate: 0.4, seed: 7 }));
    const kept = mask.filter((v) => v !== 0);
    expect(kept.every((v) => Math.abs(v - 1 / 0.6) < 1e-6)).toBe(true);
    expect(kept.length / mask.length).toBeCloseTo(0.6, 1);
  });

  it('draws another mask at each step, and goes on from a restored counter', () => {
    const first = new SeededDropout({ rate: 0.5, seed: 7 });
    const masks = [draw(first), draw(first)];
    const saved = first.getWeights().map((w) => w.clone());
    masks.push(draw(first));
    expect(masks[1]).not.toEqual(masks[0]);
    const resumed = new SeededDropout({ rate: 0.5, seed: 7 });
    resumed.build([null, 40]);
    resumed.setWeights(saved);
    expect(draw(resumed)).toEqual(masks[2]);
  });

  it('is the identity outside training', () => {
    const x = tf.tensor2d([[1, -2, 3]]);
    const layer = new SeededDropout({ rate: 0.5, seed: 7 });
    expect([...(layer.apply(x) as tf.Tensor).dataSync()]).toEqual([1, -2, 3]);
  });
});
