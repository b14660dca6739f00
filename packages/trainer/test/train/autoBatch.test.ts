import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { checkRequest, type ConfigRequest } from '../../dist/config/index.js';
import { measure, settleBatchSize, trialStep } from '../../dist/train/autoBatch.js';
import { candidateSizes, largestFitting, parseMemory, plannedBytes, stepBytes } from '../../dist/train/batchPlan.js';
import { createSession } from '../../dist/train/session.js';
import { imageFolder } from '../data/fixtures.js';
import { tinyConfig } from './interruptedRun.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-auto-batch-'));
  await imageFolder(10, 5, 24, join(folder, 'faces'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function request(maxMemory?: string): ConfigRequest {
  const config = tinyConfig(folder, 'auto', 4);
  return checkRequest({ ...config, training: { ...config.training, batchSize: 'auto', maxMemory } }, 'test');
}

describe('the plan of a batch size', () => {
  // 100 bytes at rest, 10 an image, 5 of the head at any size, 2 an image ahead.
  const model = {
    baseBytes: 100,
    measured: [
      { batch: 2, bytes: 25 },
      { batch: 4, bytes: 45 },
    ],
    head: () => 5,
    ahead: (batch: number) => 2 * batch,
  } as const;

  it('has powers of two and half-way between, eight steps an epoch, 1024 at most', () => {
    expect(candidateSizes(500)).toEqual([2, 3, 4, 6, 8, 12, 16, 24, 32, 48]);
    expect(candidateSizes(512).at(-1)).toBe(64);
    expect(candidateSizes(16)).toEqual([2]);
    expect(candidateSizes(24)).toEqual([2, 3]);
    expect(candidateSizes(1e7).slice(-3)).toEqual([512, 768, 1024]);
  });

  it('goes along the lines between the steps, and on along the last', () => {
    const bent = { ...model, measured: [...model.measured, { batch: 8, bytes: 125 }] };
    expect([2, 3, 4, 6, 8, 10].map((batch) => stepBytes(bent, batch))).toEqual([130, 140, 150, 190, 230, 270]);
    expect([2, 4, 64].map((batch) => stepBytes(model, batch))).toEqual([130, 150, 750]);
    expect(plannedBytes(model, 64)).toBe(878);
  });

  it('takes the largest that fits, and less where more was found to be taken', () => {
    const sizes = candidateSizes(1e6);
    expect(largestFitting(sizes, model, 878)).toBe(64);
    expect(largestFitting(sizes, model, 877)).toBe(48);
    expect(largestFitting(sizes, model, 878, 0.5)).toBe(64);
    expect(largestFitting(sizes, model, 878, 1.5)).toBe(32);
    const big = { ...model, baseBytes: 100 * 2 ** 20 };
    expect(() => largestFitting(sizes, big, 50 * 2 ** 20)).toThrow(
      'E_MEMORY: training.batchSize: expected room for 2 images, 101 MiB, received a limit of 50 MiB; raise training.maxMemory',
    );
  });

  it('reads amounts of memory', () => {
    expect([parseMemory('1.5GiB'), parseMemory('800MiB')]).toEqual([1.5 * 2 ** 30, 800 * 2 ** 20]);
  });
});

describe('training.batchSize: auto', () => {
  it('plans the next, larger step from those before, and leaves no tensor behind', async () => {
    const config = tinyConfig(folder, 'auto', 4);
    const session = await createSession(config, () => {});
    let model = await measure(session);
    const tensors = tf.memory().numTensors;
    const ratios = [];
    for (const batch of [8, 16, 32, 64]) {
      const planned = stepBytes(model, batch) - model.baseBytes - model.head(batch);
      const bytes = await trialStep(session, batch);
      model = { ...model, measured: [...model.measured, { batch, bytes }] };
      ratios.push(planned / bytes);
    }
    expect(tf.memory().numTensors).toBe(tensors);
    // Few images cost less than the update; from then on the line holds.
    for (const ratio of ratios) expect(ratio).toBeGreaterThan(0.6);
    expect(ratios.at(-1)).toBeGreaterThan(0.95);
    expect(ratios.at(-1)).toBeLessThan(1.05);
    expect(model.ahead(32)).toBe((config.data.prefetch + 1) * 32 * 16 * 16 * 3 * 5);
    await session.close();
  });

  it('settles on a number, the same each time, says how, and leaves the learning rate alone', async () => {
    const lines: string[] = [];
    const config = await settleBatchSize(request('16GiB'), (line) => lines.push(line));
    // 40 images of 8 identities: an eighth of them is 5.
    expect(config.training).toEqual({ ...tinyConfig(folder, 'auto', 4).training, batchSize: 4 });
    expect(config.optimizer.learningRate).toBe(0.05);
    expect(lines[0]).toBe('batch size auto: trying what fits in 16.00 GiB');
    expect(lines[1]).toMatch(
      /^batch size 4: 0\.\d\d GiB of 16\.00 GiB, a step measured at [01]\.\d\d GiB; no more is taken than an eighth/,
    );
    expect(lines[2]).toMatch(/learningRate stays 0\.05; .* linear scaling has 0\.00313 for 8$/);
    expect(await settleBatchSize(request('16GiB'), () => {})).toEqual(config);
  });

  it('refuses what does not fit, and too few images', async () => {
    await expect(settleBatchSize(request('20MiB'), () => {})).rejects.toThrow(
      /E_MEMORY: training\.batchSize: .*20 MiB/,
    );
    const few = request('16GiB');
    few.data.heldOut = 7;
    await expect(settleBatchSize(few, () => {})).rejects.toThrow(/E_RANGE: .*16 images at least, received 15/);
  });

  it('leaves a number as it is, without a trial', async () => {
    const config = tinyConfig('nowhere', 'auto', 4);
    expect(await settleBatchSize(config, () => {})).toEqual(config);
  });
});
