import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { HyperArcError } from '@hyperarc/kernels-cuda';

import { marginRecord } from '../checkpoint/marginRecord.js';
import { readModelWeights, writeModelWeights } from '../checkpoint/modelWeights.js';
import { readSafetensors, writeSafetensors, type TensorData } from '../checkpoint/safetensors.js';
import { readTrainingState, writeTrainingState, type TrainingState } from '../checkpoint/trainingState.js';
import { formatConfig } from '../config/index.js';
import type { ImageDataset } from '../data/index.js';
import type { SgdMomentum } from '../optim/index.js';
import { arithmeticOf } from './arithmetic.js';
import { fingerprint } from './dataset.js';
import type { Session } from './session.js';

/** Files of a checkpoint folder. */
export const FILES = {
  state: 'state.json',
  config: 'config.yaml',
  backbone: 'backbone.safetensors',
  optimizer: 'optimizer.safetensors',
  head: 'head.safetensors',
} as const;

/** Writes all that a session needs to go on from here into an empty folder. */
export async function writeSession(
  session: Session,
  folder: string,
  step: number,
  { window, control }: Pick<TrainingState, 'window' | 'control'>,
): Promise<void> {
  const { backbone, optimizer, head, loader, datasets, config } = session;
  const { train } = datasets;
  writeFileSync(join(folder, FILES.config), formatConfig(config));
  writeSafetensors(join(folder, FILES.backbone), readModelWeights(backbone));
  const velocities = optimizer.state();
  const tensors = Object.entries(velocities).map(([name, tensor]): [string, TensorData] => [
    name,
    { shape: tensor.shape, values: tensor.dataSync() as Float32Array },
  ]);
  tf.dispose(velocities);
  writeSafetensors(join(folder, FILES.optimizer), new Map(tensors));
  await head.save(join(folder, FILES.head));
  writeTrainingState(join(folder, FILES.state), {
    step,
    arithmetic: arithmeticOf(session),
    data: { classes: train.identities.length, images: train.samples.length, sha256: fingerprint(train) },
    loader: loader.state(),
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
  const { identities, samples, root } = dataset;
  const refuse = (was: string, now: string): never => {
    throw new HyperArcError(
      'E_RANGE',
      `data: expected ${was} of the checkpoint, received ${now} in ${root}; go on with the same images, or start a new run`,
    );
  };
  if (identities.length !== data.classes) refuse(`the ${data.classes} training identities`, `${identities.length}`);
  if (samples.length !== data.images) refuse(`the ${data.images} training images`, `${samples.length}`);
  if (fingerprint(dataset) !== data.sha256) refuse('the file names', 'others');
}

/**
 * Sets a new backbone and its optimizer to where a checkpoint was written.
 * @throws HyperArcError E_FORMAT for files that do not fit the model.
 */
export function restoreBackbone(backbone: LayersModel, optimizer: SgdMomentum, folder: string): void {
  writeModelWeights(backbone, readSafetensors(join(folder, FILES.backbone)));
  const velocities = Object.fromEntries(
    [...readSafetensors(join(folder, FILES.optimizer))].map(([name, { values, shape }]) => [
      name,
      tf.tensor(values, [...shape], 'float32'),
    ]),
  );
  try {
    optimizer.loadState(velocities);
  } finally {
    tf.dispose(velocities);
  }
}
