import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import { marginRecord } from '../checkpoint/marginRecord.js';
import { saveModelFolder } from '../checkpoint/modelFolder.js';
import { readModelWeights, writeModelWeights } from '../checkpoint/modelWeights.js';
import { readSafetensors, writeSafetensors, type TensorData } from '../checkpoint/safetensors.js';
import { readTrainingState, writeTrainingState, type TrainingState } from '../checkpoint/trainingState.js';
import { formatConfig } from '../config/index.js';
import type { ImageDataset } from '../data/index.js';
import { arithmeticOf } from './arithmetic.js';
import { verifiesRaw } from './average.js';
import { fingerprint } from './dataset.js';
import { FILES } from './files.js';
import { checkOptimizerKind } from './optimizer.js';
import type { SavedSession, Session } from './session.js';
import { writeIdentities } from './startingWeights.js';

/** Writes all that a session needs to go on from here into an empty folder. */
export async function writeSession(
  session: Session,
  folder: string,
  step: number,
  { window, control }: Pick<TrainingState, 'window' | 'control'>,
): Promise<void> {
  const { backbone, optimizer, average, head, loader, datasets, config } = session;
  const { train } = datasets;
  writeFileSync(join(folder, FILES.config), formatConfig(config));
  writeSafetensors(join(folder, FILES.backbone), readModelWeights(backbone));
  if (average !== undefined) writeSafetensors(join(folder, FILES.ema), average.state());
  const moments = optimizer.state();
  const tensors = Object.entries(moments).map(([name, tensor]): [string, TensorData] => [
    name,
    { shape: tensor.shape, values: tensor.dataSync() as Float32Array | Int32Array },
  ]);
  tf.dispose(moments);
  writeSafetensors(join(folder, FILES.optimizer), new Map(tensors));
  await head.save(join(folder, FILES.head));
  writeIdentities(folder, train.identities);
  writeTrainingState(join(folder, FILES.state), {
    step,
    arithmetic: arithmeticOf(session),
    data: { classes: train.identities.length, images: train.labels.length, sha256: fingerprint(train) },
    loader: loader.state(),
    optimizer: config.optimizer.kind,
    ...(average && { ema: { updates: average.updates } }),
    head: head.state(),
    margin: marginRecord(head.margin),
    control,
    window,
  });
}

/** The state in a checkpoint folder, read before a session is made: its loader starts there. */
export function readSessionState(folder: string): TrainingState {
  return readTrainingState(join(folder, FILES.state));
}

/** @throws HyperArcError E_RANGE if `dataset` is not the one of the checkpoint. */
export function checkData(dataset: ImageDataset, { data }: TrainingState): void {
  const { identities, labels, root } = dataset;
  const refuse = (was: string, now: string): never => {
    throw new HyperArcError(
      'E_RANGE',
      `data: expected ${was} of the checkpoint, received ${now} in ${root}; go on with the same images, or start a new run`,
    );
  };
  if (identities.length !== data.classes) refuse(`the ${data.classes} training identities`, `${identities.length}`);
  if (labels.length !== data.images) refuse(`the ${data.images} training images`, `${labels.length}`);
  if (fingerprint(dataset) !== data.sha256) refuse('the file names', 'others');
}

/**
 * Sets a new backbone, its optimizer and the average of its weights to where a checkpoint was written.
 * @throws HyperArcError E_FORMAT for files that do not fit the model; E_RANGE for another kind of optimizer, or where only one of the
 *   two has an average.
 */
export function restoreBackbone(
  { backbone, optimizer, average, config }: Pick<Session, 'backbone' | 'optimizer' | 'average' | 'config'>,
  { folder, state }: SavedSession,
): void {
  checkOptimizerKind('optimizer.kind', config.optimizer.kind, state.optimizer);
  if ((average === undefined) !== (state.ema === undefined)) {
    const [was, now] = state.ema === undefined ? ['none', 'one'] : ['the moving average', 'none'];
    throw new HyperArcError(
      'E_RANGE',
      `training.ema: expected ${was} of the checkpoint, received ${now}; go on as it was, or start a new run from its weights (backbone.weights)`,
    );
  }
  writeModelWeights(backbone, readSafetensors(join(folder, FILES.backbone)));
  if (average !== undefined) average.loadState(readSafetensors(join(folder, FILES.ema)), state.ema!.updates);
  const moments = Object.fromEntries(
    [...readSafetensors(join(folder, FILES.optimizer))].map(([name, { values, shape }]) => [
      name,
      tf.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32'),
    ]),
  );
  try {
    optimizer.loadState(moments);
  } finally {
    tf.dispose(moments);
  }
}

const besideModel = (modelPath: string) => ({ raw: `${modelPath}-raw`, ema: `${modelPath}-ema` });

/** Removes what {@link saveModels} wrote at an earlier end of the run. */
export function removeModels(modelPath: string): void {
  const { raw, ema } = besideModel(modelPath);
  // The one that commands open goes first.
  for (const path of [modelPath, raw, ema]) rmSync(path, { recursive: true, force: true });
}

/**
 * Saves the trained backbone into a run: `model` with the weights that are verified; with training.ema the others beside it, as
 * `model-raw` or `model-ema`.
 */
export async function saveModels({ backbone, average, config, verified }: Session, modelPath: string): Promise<void> {
  const { raw, ema } = besideModel(modelPath);
  await verified(() => saveModelFolder(backbone, modelPath));
  if (average === undefined) return;
  if (verifiesRaw(config)) await average.apply(() => saveModelFolder(backbone, ema));
  else await saveModelFolder(backbone, raw);
  // Of an earlier end of the run, before evaluate.weights was changed.
  rmSync(verifiesRaw(config) ? raw : ema, { recursive: true, force: true });
}
