import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { LayersModel } from '@tensorflow/tfjs-layers';

import { createBackbone } from '../backbones/create.js';
import { loadModelFolder } from '../checkpoint/modelFolder.js';
import { CheckpointStore } from '../checkpoint/store.js';
import { loadConfig, type Config } from '../config/index.js';
import { FILES } from './files.js';
import { isCheckpoint, RunFolder } from './runFolder.js';
import { startBackbone } from './startingWeights.js';

/** What the path of something trained stands for. */
export type Trained =
  | { readonly kind: 'run'; readonly run: RunFolder }
  | { readonly kind: 'checkpoint'; readonly config: Config }
  | { readonly kind: 'model' };

/** @throws HyperArcError E_FORMAT if it is neither a run, nor a checkpoint, nor a folder with a model.json */
export function findTrained(path: string): Trained {
  if (existsSync(join(path, 'model.json'))) return { kind: 'model' };
  if (isCheckpoint(path)) return { kind: 'checkpoint', config: loadConfig(join(path, FILES.config)) };
  return { kind: 'run', run: RunFolder.open(path) };
}

/** What it was trained with; undefined for a model folder, which does not say. */
export function configOf(trained: Trained): Config | undefined {
  if (trained.kind === 'run') return trained.run.readConfig();
  return trained.kind === 'checkpoint' ? trained.config : undefined;
}

/**
 * The backbone of a run that has ended, of one of its checkpoints (its moving average, if it has one), or of a model folder. The backend
 * must be there already; dispose of the model after use.
 * @throws HyperArcError E_FORMAT if the path is none of these, for a run that has not ended, and for damaged files
 */
export async function loadTrained(path: string, log: (line: string) => void = () => undefined): Promise<LayersModel> {
  const trained = findTrained(path);
  if (trained.kind === 'model') return loadModelFolder(path);
  if (trained.kind === 'run') {
    const { modelPath, checkpointsPath } = trained.run;
    if (existsSync(modelPath)) return loadModelFolder(modelPath);
    const newest = new CheckpointStore(checkpointsPath).list().at(-1);
    const fix = newest === undefined ? '' : `, or give its newest checkpoint, ${newest.path}`;
    throw new HyperArcError(
      'E_FORMAT',
      `run: expected one with ${modelPath}, received one that has not ended; go on with hyperarc train --resume ${path}${fix}`,
    );
  }
  const { backbone, data, seed } = trained.config;
  const model = createBackbone({ ...backbone, inputSize: data.imageSize, seed });
  try {
    log(`model: ${await startBackbone(model, path, trained.config)}`);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}
