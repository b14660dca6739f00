import { HyperArcError } from '@hyperarc/kernels-cuda/errors';
import type { LayersModel } from '@tensorflow/tfjs-layers';

import { initBackend, type BackendChoice, type BackendInfo } from '../backend/index.js';
import type { RunFolder } from '../train/runFolder.js';
import { configOf, findTrained, loadTrained } from '../train/trainedModel.js';

/** A trained model of a run, a checkpoint or a model folder, on a backend. */
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
 * Opens a run folder's trained model, that of a checkpoint, or a folder with a tfjs model.json. Dispose of `model` after use.
 * @throws HyperArcError E_FORMAT if the folder is none of these, E_SHAPE for a model that does not take square colour images; E_DEVICE from the backend.
 */
export async function openModel(
  target: string,
  backend?: BackendChoice,
  log?: (line: string) => void,
): Promise<OpenModel> {
  const trained = findTrained(target);
  const info = await initBackend(backend ?? configOf(trained)?.backend, log);
  const model = await loadTrained(target, log);
  const [, height, width, channels] = model.inputs[0]!.shape;
  if (!height || height !== width || channels !== 3) {
    const shape = model.inputs[0]!.shape.join(', ');
    model.dispose();
    throw new HyperArcError('E_SHAPE', `${target}: expected a model of images [B, side, side, 3], received [${shape}]`);
  }
  return { model, imageSize: height, name: target, backend: info, ...(trained.kind === 'run' && { run: trained.run }) };
}
