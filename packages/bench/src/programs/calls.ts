import { arcFace, marginLogits } from '@hyperarc/heads';
import { initBackend } from '@hyperarc/trainer';
import { addonStatus, openDevice, type ClassCenters, type MarginRule, type Step } from '@hyperarc/kernels-cuda';
import * as tf from '@tensorflow/tfjs-core';
import Benchmark from 'benchmark';

import type { CallName } from '../cases.js';
import { makeBatches, type Batch } from '../inputs.js';
import { SGD, SkipCase, type ProgramFactory } from './program.js';

const MARGIN: MarginRule = { scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' };

type MakeCall = (centers: ClassCenters, batches: readonly Batch[]) => () => void;

/** Takes the batches in turn. */
function inTurn(batches: readonly Batch[]): () => Batch {
  let next = 0;
  return () => batches[next++ % batches.length]!;
}

const CALLS: Readonly<Record<CallName, MakeCall>> = {
  forward: (centers, batches) => {
    const batch = inTurn(batches);
    let step: Step | undefined;
    return () => {
      const { embeddingsBD, labelsB } = batch();
      ({ step } = centers.forward({ embeddings: embeddingsBD, labels: labelsB, margin: MARGIN, step }));
    };
  },
  step: (centers, batches) => {
    const batch = inTurn(batches);
    let step: Step | undefined;
    return () => {
      const { embeddingsBD, labelsB } = batch();
      ({ step } = centers.forward({ embeddings: embeddingsBD, labels: labelsB, margin: MARGIN, step }));
      centers.update(step, SGD);
    };
  },
  logits: (centers, batches) => {
    const batch = inTurn(batches);
    return () => void centers.logits(batch().embeddingsBD);
  },
  sample: (centers, batches) => {
    const batch = inTurn(batches);
    let step = 0;
    return () => void centers.sample({ labels: batch().labelsB, rate: 0.1, step: step++ });
  },
  'margin-logits': (centers, batches) => {
    const spec = arcFace();
    const [classes] = centers.shape;
    const inputs = batches.map(({ embeddingsBD, labelsB }) => ({
      cosines: tf.tensor2d(centers.logits(embeddingsBD), [labelsB.length, classes]),
      labels: tf.tensor1d(labelsB, 'int32'),
    }));
    let next = 0;
    return () => {
      const { cosines, labels } = inputs[next++ % inputs.length]!;
      tf.tidy(() => void marginLogits(cosines, labels, spec).dataSync());
    };
  },
};

/**
 * A short synchronous call, timed by the `benchmark` package in cycles of as many calls as the clock's resolution asks for: a sample is the mean
 * time of one call in a cycle. An iteration is a tenth of a second of cycles (at least five).
 */
export const calls: ProgramFactory = async ({ axes, threads }) => {
  const status = addonStatus();
  if (!status.loaded) throw new SkipCase(`no addon: ${status.error ?? 'unknown'}`);
  await initBackend('cpu');
  const device = openDevice('cpu', { threads, instructionSet: axes.instructionSet });
  const centers = device.createCenters({ classes: axes.C, subCenters: axes.K, dim: axes.D, seed: 1 });
  const call = CALLS[axes.call!](centers, makeBatches(axes, 4));
  return {
    ready: {
      facts: {
        device: device.info.name,
        instructionSet: device.info.instructionSet,
        kernels: centers.kernels(axes.B),
        addon: status.buildDescription ?? '',
      },
    },
    measure: (iterations) => {
      const benchmark = new Benchmark(axes.call!, call, { maxTime: 0.1 * iterations });
      benchmark.run();
      // The package's types leave `error` out; a call that throws ends the benchmark with it.
      const { error } = benchmark as unknown as { error?: Error };
      if (error !== undefined) throw error;
      const elapsedMs = benchmark.stats.sample.map((seconds) => 1e3 * seconds);
      return { elapsedMs, cpuMs: [] };
    },
    finish: () => ({}),
  };
};
