import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { checkConfig } from '../../dist/config/index.js';
import { GuardedStep } from '../../dist/train/guardedStep.js';
import { createSession, type Session } from '../../dist/train/session.js';
import { imageFolder } from '../data/fixtures.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hyperarc-guarded-'));
  await imageFolder(4, 4, 24, join(folder, 'faces'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A session with all that a forward pass moves: running statistics, dropout, a sampler, a margin that adapts. */
function open(training: object): Promise<Session> {
  const config = checkConfig(
    {
      name: 'guarded',
      backend: 'wasm',
      data: { root: join(folder, 'faces'), imageSize: 16 },
      backbone: { name: 'iresnet10-w16', embeddingSize: 8, dropout: 0.2 },
      head: { loss: 'adaface', scale: 16, rate: 0.5 },
      optimizer: { learningRate: 0.05 },
      training: { steps: 20, batchSize: 4, ...training },
    },
    'test',
  );
  return createSession(config, () => {});
}

async function batchesOf({ loader }: Session, count = 2) {
  const batches = [];
  for (let i = 0; i < count; i++) batches.push(await loader.next());
  return batches;
}

/** The second micro-batch's second image gets a NaN: the first has been through backbone and head by then. */
async function badBatches(session: Session) {
  const [first, second] = await batchesOf(session);
  const images = second!.images.slice();
  images[16 * 16 * 3 + 5] = NaN;
  return [first!, { ...second!, images }];
}

const rates = { learningRate: 0.05, headLearningRate: 0.05 };

/** All that decides how training goes on. */
function stateOf({ backbone, optimizer, head }: Session): unknown {
  const velocities = optimizer.state();
  const weights = backbone.weights.map((weight) => [weight.originalName, [...weight.read().dataSync()]]);
  const moments = Object.entries(velocities).map(([name, tensor]) => [name, [...tensor.dataSync()]]);
  tf.dispose(velocities);
  return { weights, moments, head: head.state(), centers: [...head.centers.readRows(0, 4)], pending: head.pending };
}

describe('a step that is not finite', () => {
  it('is skipped with no trace in weights, optimizer, running statistics, dropout, sampler and margin', async () => {
    const session = await open({ onNonFinite: 'skip' });
    const guard = new GuardedStep(session);
    expect(guard.make(await batchesOf(session), rates, 1)).toMatchObject({ loss: expect.any(Number) as number });
    const bad = await badBatches(session);
    const [before, tensors] = [stateOf(session), tf.memory().numTensors];
    const reason = guard.make(bad, rates, 2);
    expect(reason).toMatch(
      /^step 2: expected finite embeddings, received NaN in row 0 .*; first that is not finite: output of layer stem\/conv$/,
    );
    expect(stateOf(session)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(guard.counts()).toEqual({ total: 1, inARow: 1 });
    expect(guard.make(await batchesOf(session), rates, 3)).toMatchObject({ loss: expect.any(Number) as number });
    expect(guard.counts()).toEqual({ total: 1, inARow: 0 });
    expect(stateOf(session)).not.toEqual(before);
    await session.close();
  });

  it('stops the run after maxSkips in a row, counted from where a checkpoint stood', async () => {
    const session = await open({ onNonFinite: 'skip', maxSkips: 3 });
    const guard = new GuardedStep(session, { total: 9, inARow: 2 });
    const bad = await badBatches(session);
    expect(guard.make(bad, rates, 5)).toMatch(/^step 5: /);
    expect(guard.counts()).toEqual({ total: 10, inARow: 3 });
    expect(() => guard.make(bad, rates, 6)).toThrow(
      /^E_NONFINITE: step 6: expected at most 3 steps in a row that are not finite \(training\.maxSkips\), received one more: step 6: expected finite embeddings.*start a new run/,
    );
    await session.close();
  });

  it('stops the run at once by default, and names the layer or the weight', async () => {
    const session = await open({});
    const guard = new GuardedStep(session);
    const bad = await badBatches(session);
    expect(() => guard.make(bad, rates, 1)).toThrow(
      /E_NONFINITE: step 1: .*; first that is not finite: output of layer stem\/conv$/,
    );
    const weight = session.backbone.trainableWeights.at(-1)!;
    weight.write(tf.fill(weight.shape as number[], NaN));
    const good = await batchesOf(session);
    expect(() => guard.make(good, rates, 1)).toThrow(
      new RegExp(`first that is not finite: weight ${weight.originalName}$`),
    );
    await session.close();
  });

  it('passes on any other error', async () => {
    const session = await open({ onNonFinite: 'skip' });
    const [batch] = await batchesOf(session, 1);
    const foreign = { ...batch!, labels: Int32Array.of(0, 1, 2, 99) };
    expect(() => new GuardedStep(session).make([foreign], rates, 1)).toThrow(/E_RANGE/);
    await session.close();
  });
});
