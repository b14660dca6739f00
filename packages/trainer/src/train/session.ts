import { join } from 'node:path';

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type * as tf from '@tensorflow/tfjs-core';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import { initBackend, type BackendInfo } from '../backend/index.js';
import { createBackbone } from '../backbones/index.js';
import type { TrainingState } from '../checkpoint/trainingState.js';
import type { Config } from '../config/index.js';
import { BatchLoader, nameOfLocation } from '../data/index.js';
import { SgdMomentum } from '../optim/index.js';
import { openDatasets, type RunDatasets } from './dataset.js';
import { checkData, FILES, restoreBackbone } from './sessionFiles.js';
import type { PartialFC } from '@hyperarc/heads/engine';
import { createHead, loadHead } from './head.js';
import { createSampler } from './sampler.js';
import { createSchedule, type Schedule } from './schedule.js';
import type { StepParts, StepRates } from './step.js';

/** Everything a run trains with, made from its configuration. */
export interface Session {
  config: Config;
  backend: BackendInfo;
  datasets: RunDatasets;
  backbone: LayersModel;
  optimizer: SgdMomentum;
  head: PartialFC;
  loader: BatchLoader;
  schedule: Schedule;
  parts: StepParts;
  close(): Promise<void>;
}

/** Rates of the update after `step` updates. */
export function ratesAt({ config, schedule }: Pick<Session, 'config' | 'schedule'>, step: number): StepRates {
  const factor = schedule.factorAt(step);
  const { learningRate, head } = config.optimizer;
  return { learningRate: learningRate * factor, headLearningRate: (head.learningRate ?? learningRate) * factor };
}

/** A checkpoint folder and the state in it. */
export interface SavedSession {
  folder: string;
  state: TrainingState;
}

/**
 * @param saved where to go on.
 * @throws HyperArcError E_DEVICE if the backend cannot train, E_RANGE for other data than was saved, E_FORMAT for files that do not fit;
 *   those of the data, the backbone and the head.
 */
export async function createSession(
  config: Config,
  log: (line: string) => void,
  saved?: SavedSession,
): Promise<Session> {
  const { seed, data, training, optimizer: sgd } = config;
  const datasets = await openDatasets(config, { log });
  if (saved !== undefined) checkData(datasets.train, saved.state);
  const backend = await initBackend(config.backend, log);
  if (backend.cannotTrain !== undefined) throw new HyperArcError('E_DEVICE', `backend: ${backend.cannotTrain}`);
  const backbone = createBackbone({ ...config.backbone, inputSize: data.imageSize, seed });
  const weights = backbone.trainableWeights;
  const optimizer = new SgdMomentum({
    momentum: sgd.momentum,
    weightDecay: sgd.weightDecay,
    decayNormAndBias: sgd.decayNormAndBias,
    weights,
  });
  if (saved !== undefined) restoreBackbone(backbone, optimizer, saved.folder);
  const head =
    saved === undefined
      ? createHead(config, datasets.train)
      : await loadHead(join(saved.folder, FILES.head), saved.state, config, datasets.train);
  const loader = new BatchLoader({
    dataset: datasets.train,
    batchSize: training.batchSize,
    imageSize: data.imageSize,
    seed,
    flip: data.flip,
    augment: data.augment,
    sampler: createSampler(config, datasets.train),
    workers: data.workers,
    prefetch: data.prefetch,
    ...(saved && { resume: saved.state.loader }),
  });
  return {
    config,
    backend,
    datasets,
    backbone,
    optimizer,
    head,
    loader,
    schedule: createSchedule(config, loader.batchesPerEpoch),
    parts: {
      backbone,
      // tfjs types the tf.Variable of a LayerVariable as protected, though training needs it.
      variables: weights.map((weight) => (weight as unknown as { val: tf.Variable }).val),
      optimizer,
      head,
      inputSize: data.imageSize,
      clipNorm: sgd.clipNorm,
      headMomentum: sgd.head.momentum ?? sgd.momentum,
      headWeightDecay: sgd.head.weightDecay ?? sgd.weightDecay,
      nameOf: (index) => nameOfLocation(datasets.train.locate(index)),
    },
    close: async () => {
      await loader.close();
      head.dispose();
      optimizer.dispose();
      backbone.dispose();
    },
  };
}
