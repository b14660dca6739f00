import { HyperArcError } from '@hyperarc/kernels-cuda';

import type { BackendChoice, BackendInfo } from '../backend/index.js';
import { openDataset, splitIdentities, type ImageDataset } from '../data/index.js';
import { configOf, findTrained } from '../train/trainedModel.js';
import { describePeople } from './people.js';
import { openModel, type OpenModel } from './openModel.js';

export interface TargetOptions {
  /** Image folder. Default: the run's, with the identities it held out. */
  readonly data?: string | undefined;
  /** Identities of `data` set apart by the seed; 0: all. */
  readonly heldOut?: number | undefined;
  readonly seed?: number | undefined;
  readonly backend?: BackendChoice | undefined;
  readonly log?: (line: string) => void;
}

/** A trained backbone to try. */
export interface TargetModel {
  readonly model: OpenModel['model'];
  readonly imageSize: number;
  readonly backend: BackendInfo;
  /** Folder for results: the run's; undefined for a checkpoint and a model folder. */
  readonly folder: string | undefined;
  /** Decoding threads. */
  readonly workers: number | undefined;
}

/** A trained backbone and the images to try it on. */
export interface Target extends TargetModel {
  readonly dataset: ImageDataset;
  /** The images in words. */
  readonly data: string;
  /** Of the run, for drawing pairs. */
  readonly seed: number;
  readonly pairs: number;
  readonly folds: number;
}

/**
 * Opens a run folder, a checkpoint, or a folder with a tfjs model.json.
 * @throws HyperArcError E_FORMAT if it is none of these, E_RANGE if there are no images to try it on; those of the backend and the data.
 */
export async function openTarget(path: string, options: TargetOptions = {}): Promise<Target> {
  const trained = findTrained(path);
  const config = configOf(trained);
  const root = options.data ?? config?.data.root;
  if (root === undefined)
    throw new HyperArcError('E_RANGE', 'data: expected an image folder to try a model on, received none; give --data');
  const heldOut = options.heldOut ?? (options.data === undefined ? (config?.data.heldOut ?? 0) : 0);
  if (options.data === undefined && heldOut === 0) {
    throw new HyperArcError(
      'E_RANGE',
      'data: expected held-out identities, received a run with data.heldOut = 0; give --data',
    );
  }
  const seed = options.seed ?? config?.seed ?? 1;
  const all = await openDataset(root, options.log === undefined ? {} : { log: options.log });
  const dataset = heldOut === 0 ? all : splitIdentities(all, { heldOut, seed }).test;
  const { model, imageSize, backend } = await openModel(path, options.backend, options.log);
  return {
    model,
    imageSize,
    dataset,
    data: describePeople(dataset, heldOut, path),
    backend,
    folder: trained.kind === 'run' ? trained.run.path : undefined,
    workers: config?.data.workers,
    seed,
    pairs: config?.evaluate.pairs ?? 6000,
    folds: config?.evaluate.folds ?? 10,
  };
}

/** Opens a run folder, a checkpoint, or a folder with a tfjs model.json, to be tried on images of their own. Errors: as openModel. */
export async function openTargetModel(
  path: string,
  { backend, log }: Pick<TargetOptions, 'backend' | 'log'>,
): Promise<TargetModel> {
  const { model, imageSize, backend: info, run } = await openModel(path, backend, log);
  return { model, imageSize, backend: info, folder: run?.path, workers: run?.readConfig().data.workers };
}
