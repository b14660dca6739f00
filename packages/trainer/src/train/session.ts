import { join } from 'node:path';

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type * as tf from '@tensorflow/tfjs-core';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import { initBackend, type BackendInfo } from '../backend/index.js';
import { createBackbone, freezeLayers, frozenLayers, planBackbone } from '../backbones/index.js';
import type { TrainingState } from '../checkpoint/trainingState.js';
import { headOptimizer, type Config } from '../config/index.js';
import { BatchLoader, nameOfLocation } from '../data/index.js';
import { MovingAverage, type Optimizer } from '../optim/index.js';
import { openDatasets, type RunDatasets } from './dataset.js';
import { verifiesRaw } from './average.js';
import { FILES } from './files.js';
import { createOptimizer, optimizerGroups } from './optimizer.js';
import { checkData, restoreBackbone } from './sessionFiles.js';
import { countTrained } from './trainedIdentities.js';
import { startBackbone, startHead } from './startingWeights.js';
import type { PartialFC } from '@hyperarc/heads/engine';
import { createHead, loadHead } from './head.js';
import { createSampler } from './sampler.js';
import { createSchedule, type Schedule } from './schedule.js';
import type { HeadNumbers, StepParts, StepRates } from './step.js';

/** Everything a run trains with, made from its configuration. */
export interface Session {
  config: Config;
  backend: BackendInfo;
  datasets: RunDatasets;
  backbone: LayersModel;
  optimizer: Optimizer;
  /** Of the backbone's weights; only with training.ema. */
  average: MovingAverage | undefined;
  head: PartialFC;
  loader: BatchLoader;
  schedule: Schedule;
  parts: StepParts;
  /** Runs `use` while the backbone has the weights that are to be verified and saved: the averages, if there are any and none other are asked for. */
  verified<T>(use: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Rates of the update after `step` updates. */
export function ratesAt({ config, schedule }: Pick<Session, 'config' | 'schedule'>, step: number): StepRates {
  const factor = schedule.factorAt(step);
  const head = headOptimizer(config.optimizer);
  return { learningRate: config.optimizer.learningRate * factor, headLearningRate: head.learningRate * factor };
}

function headNumbersOf({ optimizer }: Config): HeadNumbers {
  const { kind: _kind, learningRate: _rate, ...numbers } = headOptimizer(optimizer);
  return numbers;
}

/** A checkpoint folder and the state in it. */
export interface SavedSession {
  folder: string;
  state: TrainingState;
}

/** @param isNew whether it starts from backbone.weights; else the caller sets it to where it was. */
async function createStartingBackbone(
  config: Config,
  log: (line: string) => void,
  isNew: boolean,
): Promise<LayersModel> {
  const { seed, data } = config;
  const { name, frozen = [], weights } = config.backbone;
  const options = { ...config.backbone, inputSize: data.imageSize, seed };
  const backbone = createBackbone(options);
  freezeLayers(backbone, frozenLayers(planBackbone(name, options).layers, frozen));
  if (!isNew || weights === undefined) return backbone;
  try {
    log(`backbone starts from ${await startBackbone(backbone, weights, config)}`);
  } catch (error) {
    backbone.dispose();
    throw error;
  }
  return backbone;
}

/** Says so where people are held out that the run which the weights are from was trained on. */
function warnOfTrained({ backbone, head, data }: Config, { heldOut }: RunDatasets, log: (line: string) => void): void {
  if (backbone.weights === undefined || heldOut === undefined) return;
  const { weights } = backbone;
  const people = { names: heldOut.identities, root: data.root };
  // With its centres the names are taken for the same people, whatever the folder.
  const seen = countTrained(weights, { ...people, anyRoot: head.weights !== undefined });
  if (seen === 0) return;
  log(
    `warning: ${weights} was trained on ${seen} of the ${heldOut.identities.length} held-out identities: their accuracy is not that of people never seen; ` +
      'hold out others (another folder, or the seed and data of that run)',
  );
}

async function createStartingHead(
  config: Config,
  { train }: RunDatasets,
  log: (line: string) => void,
): Promise<PartialFC> {
  const head = createHead(config, train);
  const { weights } = config.head;
  if (weights === undefined) return head;
  try {
    await startHead(head, weights, train.identities, log);
  } catch (error) {
    head.dispose();
    throw error;
  }
  return head;
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
  const { seed, data, training } = config;
  const datasets = await openDatasets(config, { log });
  if (saved !== undefined) checkData(datasets.train, saved.state);
  const backend = await initBackend(config.backend, log);
  if (backend.cannotTrain !== undefined) throw new HyperArcError('E_DEVICE', `backend: ${backend.cannotTrain}`);
  const backbone = await createStartingBackbone(config, log, saved === undefined);
  if (saved === undefined) warnOfTrained(config, datasets, log);
  const optimizer = createOptimizer(config.optimizer, backbone.trainableWeights);
  for (const line of optimizerGroups(config.optimizer, backbone.trainableWeights)) log(`weights ${line}`);
  const average = training.ema && new MovingAverage(backbone, training.ema);
  if (saved !== undefined) restoreBackbone({ backbone, optimizer, average, config }, saved);
  const head =
    saved === undefined
      ? await createStartingHead(config, datasets, log)
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
    onBadImage: data.onBadImage,
    ...(data.maxBadImages !== undefined && { maxBadImages: data.maxBadImages }),
    ...(saved && { resume: saved.state.loader }),
  });
  return {
    config,
    backend,
    datasets,
    backbone,
    optimizer,
    average,
    head,
    loader,
    schedule: createSchedule(config, loader.batchesPerEpoch),
    parts: {
      backbone,
      // tfjs types the tf.Variable of a LayerVariable as protected, though training needs it.
      variables: backbone.trainableWeights.map((weight) => (weight as unknown as { val: tf.Variable }).val),
      optimizer,
      average,
      head,
      inputSize: data.imageSize,
      clipNorm: config.optimizer.clipNorm,
      headNumbers: headNumbersOf(config),
      nameOf: (index) => nameOfLocation(datasets.train.locate(index)),
    },
    verified: (use) => (average === undefined || verifiesRaw(config) ? use() : average.apply(use)),
    close: async () => {
      await loader.close();
      head.dispose();
      average?.dispose();
      optimizer.dispose();
      backbone.dispose();
    },
  };
}
