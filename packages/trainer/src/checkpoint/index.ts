/** Checkpoints and model files. */
export { loadModelFolder, saveModelFolder } from './modelFolder.js';
export { readModelWeights, writeModelWeights } from './modelWeights.js';
export { readSafetensors, writeSafetensors, type TensorData } from './safetensors.js';
export { CheckpointStore, type CheckpointEntry } from './store.js';
