import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import { initBackend, type BackendChoice, type BackendInfo } from '../backend/index.js';
import { createBackbone } from '../backbones/index.js';
import { loadModelFolder } from '../checkpoint/modelFolder.js';
import {
  createImageLoader,
  makePairs,
  readPairs,
  openDataset,
  openImages,
  splitIdentities,
  type ImageDataset,
  type ImagePair,
} from '../data/index.js';
import type { RunFolder } from '../train/runFolder.js';
import { collectEnvironment } from './environment.js';
import { rawPixelModel, type EmbeddingModel } from './embed.js';
import { evaluatePairs, writeEvaluation, type Evaluation } from './evaluation.js';

export interface EvaluationSource {
  /** What openDataset takes. */
  root: string;
  /** Pairs file; its paths are relative to `root`. Otherwise pairs are drawn. */
  pairsFile?: string | undefined;
  /** Draws pairs of this many identities, set apart as training does with the same seed; 0: of all. Default 0. */
  heldOut?: number;
  seed?: number;
  /** Pairs to draw. Default 6000. */
  pairs?: number;
  /** Default 10. */
  folds?: number;
}

export interface EvaluationSettings {
  backend?: BackendChoice;
  batchSize?: number;
  flip?: boolean;
  /** Decoding threads. */
  workers?: number;
  log?: (line: string) => void;
}

/** The pairs of a source, and in words what they are. */
async function openPairs(
  source: EvaluationSource,
  log: (line: string) => void,
): Promise<{ pairs: ImagePair[]; data: string }> {
  const { root, pairsFile, heldOut = 0, seed = 1, pairs = 6000, folds = 10 } = source;
  if (pairsFile !== undefined) return { pairs: await readPairs(pairsFile), data: `${root}, pairs of ${pairsFile}` };
  const all = await openDataset(root, { log });
  const dataset: ImageDataset = heldOut === 0 ? all : splitIdentities(all, { heldOut, seed }).test;
  const whose = heldOut === 0 ? `all ${dataset.identities.length}` : `${heldOut} held-out`;
  return { pairs: makePairs(dataset, { pairs, folds, seed }), data: `${root}, ${whose} identities` };
}

async function evaluateModels(
  models: Readonly<Record<string, EmbeddingModel>>,
  imageSize: number,
  source: EvaluationSource,
  settings: EvaluationSettings,
  backend: BackendInfo,
): Promise<Evaluation> {
  const { batchSize, flip, workers, log = () => undefined } = settings;
  const { pairs, data } = await openPairs(source, log);
  const locate = await openImages(source.root);
  const loader = createImageLoader({ locate, ...(workers !== undefined && { workers }) });
  try {
    return await evaluatePairs({
      pairs,
      models,
      imageSize,
      load: (paths, size) => loader.load(paths, size),
      data,
      root: source.root,
      environment: collectEnvironment(backend),
      ...(batchSize !== undefined && { batchSize }),
      ...(flip !== undefined && { flip }),
      onProgress: (model, done, total) => done === total && log(`${model}: ${total} images embedded`),
    });
  } finally {
    await loader.close();
  }
}

/**
 * Evaluates a run's trained backbone beside raw pixels and the same backbone untrained, and writes evaluation.json into the run folder. By
 * default on the identities that the run held out.
 *
 * @param source replaces parts of the run's own source
 * @throws HyperArcError E_FORMAT if the run has no trained model yet; E_RANGE if it held out no identity and no source is given; those of
 *   the data, the backend and {@link evaluatePairs}.
 */
export async function evaluateRun(
  run: RunFolder,
  source: Partial<EvaluationSource> = {},
  settings: EvaluationSettings = {},
): Promise<Evaluation> {
  const { data, backbone, evaluate, seed, backend } = run.readConfig();
  const ownData = source.root === undefined && source.pairsFile === undefined;
  if (ownData && (source.heldOut ?? data.heldOut) === 0) {
    throw new HyperArcError(
      'E_RANGE',
      `data: expected held-out identities, received a run with data.heldOut = 0; give --data, or --pairs`,
    );
  }
  const backendInfo = await initBackend(settings.backend ?? backend, settings.log);
  const trained = await loadModelFolder(run.modelPath);
  const untrained = createBackbone({ ...backbone, inputSize: data.imageSize, seed });
  try {
    const evaluation = await evaluateModels(
      { 'raw pixels': rawPixelModel, untrained: untrained, trained: trained },
      data.imageSize,
      {
        root: data.root,
        seed,
        pairs: evaluate.pairs,
        folds: evaluate.folds,
        heldOut: source.root === undefined ? data.heldOut : 0,
        ...source,
      },
      { workers: data.workers, ...settings },
      backendInfo,
    );
    writeEvaluation(join(run.path, 'evaluation.json'), evaluation);
    return evaluation;
  } finally {
    untrained.dispose();
    trained.dispose();
  }
}

/**
 * Evaluates a model folder (model.json and its weights) beside raw pixels. Writes nothing.
 * @throws HyperArcError E_FORMAT if the folder holds no model, E_SHAPE if it does not take square colour images; others as {@link evaluateRun}
 */
export async function evaluateModelFolder(
  folder: string,
  source: EvaluationSource,
  settings: EvaluationSettings = {},
): Promise<Evaluation> {
  const backendInfo = await initBackend(settings.backend, settings.log);
  const model = await loadModelFolder(folder);
  try {
    const [, height, width, channels] = model.inputs[0]!.shape;
    if (!height || height !== width || channels !== 3) {
      const shape = model.inputs[0]!.shape.join(', ');
      throw new HyperArcError(
        'E_SHAPE',
        `${folder}: expected a model of images [B, side, side, 3], received [${shape}]`,
      );
    }
    return await evaluateModels({ 'raw pixels': rawPixelModel, model: model }, height, source, settings, backendInfo);
  } finally {
    model.dispose();
  }
}
