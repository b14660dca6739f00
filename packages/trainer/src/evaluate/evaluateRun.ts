import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import { initBackend, type BackendChoice, type BackendInfo } from '../backend/index.js';
import { createBackbone } from '../backbones/index.js';
import { CheckpointStore } from '../checkpoint/store.js';
import { readManifest } from '../checkpoint/manifest.js';
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
import { loadConfig, type Config } from '../config/index.js';
import { FILES } from '../train/files.js';
import type { RunFolder } from '../train/runFolder.js';
import { describePeople } from './people.js';
import { loadTrained } from '../train/trainedModel.js';
import { collectEnvironment } from './environment.js';
import { rawPixelModel, type EmbeddingModel } from './embed.js';
import { evaluatePairs, writeEvaluation, type Evaluation } from './evaluation.js';
import { openVerificationSets } from './sets/verificationSet.js';

export interface EvaluationSource {
  /** What openDataset takes. Absent: `sets` alone. */
  root?: string;
  /** Verification sets of InsightFace's form (lfw.bin). Each is verified with the model alone, in ten unshuffled folds. */
  sets?: readonly string[];
  /** Folds of the sets where the protocol's ten do not fit. */
  setFolds?: number;
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

/**
 * The pairs of a source, and in words what they are.
 * @param trained path of the run or checkpoint that is evaluated; absent for a model folder.
 */
async function openPairs(
  source: EvaluationSource & { root: string },
  log: (line: string) => void,
  trained: string | undefined,
): Promise<{ pairs: ImagePair[]; data: string }> {
  const { root, pairsFile, heldOut = 0, seed = 1, pairs = 6000, folds = 10 } = source;
  if (pairsFile !== undefined) {
    return { pairs: await readPairs(pairsFile, { root, folds }), data: `${root}, pairs of ${pairsFile}` };
  }
  const all = await openDataset(root, { log });
  const dataset: ImageDataset = heldOut === 0 ? all : splitIdentities(all, { heldOut, seed }).test;
  return { pairs: makePairs(dataset, { pairs, folds, seed }), data: describePeople(dataset, heldOut, trained) };
}

type Models = Readonly<Record<string, EmbeddingModel>>;

/** Verifies the source's pairs with every model, then each of its sets with the last one. */
async function evaluateModels(
  models: Models,
  imageSize: number,
  source: EvaluationSource,
  settings: EvaluationSettings,
  backend: BackendInfo,
  trained?: string,
): Promise<Evaluation> {
  const { batchSize, flip, workers, log = () => undefined } = settings;
  const { root, sets: setPaths = [], setFolds: folds } = source;
  // Before any work: a bad file ends it here.
  const sets = openVerificationSets(setPaths, folds === undefined ? {} : { folds });
  const common = {
    imageSize,
    environment: collectEnvironment(backend),
    ...(batchSize !== undefined && { batchSize }),
    ...(flip !== undefined && { flip }),
  };
  const progress = (of: string) => (model: string, done: number, total: number) => {
    if (done === total) log(`${of}${model}: ${total} images embedded`);
  };
  const evaluations: Evaluation[] = [];
  if (root !== undefined) {
    const { pairs, data } = await openPairs({ ...source, root }, log, trained);
    const locate = await openImages(root);
    const loader = createImageLoader({ locate, ...(workers !== undefined && { workers }) });
    try {
      const load = (paths: readonly string[], size: number) => loader.load(paths, size);
      evaluations.push(await evaluatePairs({ ...common, pairs, models, load, data, root, onProgress: progress('') }));
    } finally {
      await loader.close();
    }
  }
  const last = Object.fromEntries(Object.entries(models).slice(-1));
  for (const { name, path, pairs, load } of sets) {
    evaluations.push(
      await evaluatePairs({
        ...common,
        pairs,
        models: last,
        load,
        name,
        data: path,
        root: path,
        onProgress: progress(`${name}, `),
      }),
    );
  }
  const [first, ...further] = evaluations;
  if (further.length === 0) return first!;
  const furtherSets = further.map(({ name, data, root, images, models, worst }) => ({
    ...(name !== undefined && { name }),
    data,
    root,
    images,
    models,
    worst,
  }));
  return { ...first!, furtherSets };
}

/**
 * Evaluates a run's trained backbone, and writes evaluation.json into the run folder. By default on the identities that the run held out, beside raw
 * pixels and the same backbone untrained, and on the verification sets of its configuration.
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
  const step = new CheckpointStore(run.checkpointsPath).list().at(-1)?.step;
  const evaluation = await evaluateTrained(run.path, run.readConfig(), step, source, settings);
  writeEvaluation(join(run.path, 'evaluation.json'), evaluation);
  return evaluation;
}

/** As {@link evaluateRun}, of one of a run's checkpoints. Writes nothing. */
export function evaluateCheckpoint(
  folder: string,
  source: Partial<EvaluationSource> = {},
  settings: EvaluationSettings = {},
): Promise<Evaluation> {
  return evaluateTrained(folder, loadConfig(join(folder, FILES.config)), readManifest(folder).step, source, settings);
}

async function evaluateTrained(
  path: string,
  { data, backbone, evaluate, seed, backend }: Config,
  step: number | undefined,
  source: Partial<EvaluationSource>,
  settings: EvaluationSettings,
): Promise<Evaluation> {
  const ownData = source.root === undefined && source.pairsFile === undefined;
  const sets = source.sets ?? (ownData ? evaluate.sets : []);
  const heldOut = source.heldOut ?? (source.root === undefined ? data.heldOut : 0);
  // Sets that are asked for are all that is verified, unless pairs are asked for too.
  const withPairs = !ownData || (source.sets === undefined ? heldOut > 0 : source.heldOut !== undefined);
  if (!withPairs && sets.length === 0) {
    throw new HyperArcError(
      'E_RANGE',
      `data: expected held-out identities, received a run with data.heldOut = 0; give --data, --pairs, or --set`,
    );
  }
  const backendInfo = await initBackend(settings.backend ?? backend, settings.log);
  const trained = await loadTrained(path, settings.log);
  const untrained = createBackbone({ ...backbone, inputSize: data.imageSize, seed });
  try {
    const evaluation = await evaluateModels(
      { 'raw pixels': rawPixelModel, untrained: untrained, trained: trained },
      data.imageSize,
      {
        seed,
        pairs: evaluate.pairs,
        folds: evaluate.folds,
        ...source,
        ...(withPairs && { root: source.root ?? data.root }),
        heldOut,
        sets,
      },
      { workers: data.workers, ...settings },
      backendInfo,
      path,
    );
    return { ...evaluation, ...(step !== undefined && { step }) };
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
  if (source.root === undefined && (source.sets ?? []).length === 0) {
    throw new HyperArcError('E_RANGE', 'data: expected an image folder or verification sets, received neither');
  }
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
