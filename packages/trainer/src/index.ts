/** The trainer as a library. The `hyperarc` command is in ./cli. */
export { backendStatus, initBackend, type BackendChoice, type BackendInfo } from './backend/index.js';
export * from './backbones/index.js';
export * from './checkpoint/index.js';
export * from './config/index.js';
export {
  alignDataset,
  BatchLoader,
  checkDataset,
  createImageLoader,
  faceRecords,
  folderToRecords,
  makeAttributePairs,
  makePairs,
  readAttribute,
  readPairs,
  recordsToFolder,
  scanImageFolder,
  splitIdentities,
  writePairs,
  type AlignOptions,
  type AlignResult,
  type AttributePairsOptions,
  type AttributeValues,
  type Batch,
  type BatchLoaderOptions,
  type CheckOptions,
  type ConvertOptions,
  type ConvertResult,
  type DatasetReport,
  type FaceRecord,
  type ImageDataset,
  type LoaderState,
} from './data/index.js';
export * from './evaluate/index.js';
export * from './layers/index.js';
export * from './metrics/index.js';
export * from './optim/index.js';
export * from './report/index.js';
export type { Shares, SynthControls } from './synth/controls.js';
export { writeSynthDataset, type WriteDatasetOptions } from './synth/writeDataset.js';
export * from './train/index.js';
