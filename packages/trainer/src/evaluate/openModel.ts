import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { LayersModel } from '@tensorflow/tfjs-layers';

import { initBackend, type BackendChoice, type BackendInfo } from '../backend/index.js';
import { loadModelFolder } from '../checkpoint/modelFolder.js';
import { RunFolder } from '../train/runFolder.js';

/** A trained model of a run or a model folder, on a backend. */
export interface OpenModel {
  readonly model: LayersModel;
  /** Pixels a side of the images it takes. */
  readonly imageSize: number;
  readonly name: string;
  readonly backend: BackendInfo;
  /** Present when a run was opened. */
  readonly run?: RunFolder;
}

/**
 * Opens a run folder's trained model, or a folder with a tfjs model.json. Dispose of `model` after use.
 * @throws HyperArcError E_FORMAT if the folder is neither, E_SHAPE for a model that does not take square colour images; E_DEVICE from the backend.
 */
export async function openModel(
  target: string,
  backend?: BackendChoice,
  log?: (line: string) => void,
): Promise<OpenModel> {
  const isModel = existsSync(join(target, 'model.json'));
  const run = isModel ? undefined : RunFolder.open(target);
  const info = await initBackend(backend ?? run?.readConfig().backend, log);
  const model = await loadModelFolder(run?.modelPath ?? target);
  const [, height, width, channels] = model.inputs[0]!.shape;
  if (!height || height !== width || channels !== 3) {
    const shape = model.inputs[0]!.shape.join(', ');
    model.dispose();
    throw new HyperArcError('E_SHAPE', `${target}: expected a model of images [B, side, side, 3], received [${shape}]`);
  }
  return { model, imageSize: height, name: target, backend: info, ...(run && { run }) };
}
