/** The trainer as a library. The `hyperarc` command is in ./cli. */
export { backendStatus, initBackend, type BackendChoice, type BackendInfo } from './backend/index.js';
export * from './backbones/index.js';
export * from './checkpoint/index.js';
export * from './config/index.js';
export {
  BatchLoader,
  checkDataset,
  createImageLoader,
  faceRecords,
  folderToRecords,
  makePairs,
  readPairs,
  recordsToFolder,
  scanImageFolder,
  splitIdentities,
  writePairs,
  type Batch,
  type BatchLoaderOptions,
  type ConvertOptions,
  type ConvertResult,
  type DatasetReport,
  type FaceRecord,
  type ImageDataset,
  type LoaderState,
} from './data/index.js';
export * from './evaluate/index.js';
export * from './export/index.js';
export * from './import/index.js';
export * from './layers/index.js';
export * from './metrics/index.js';
export * from './optim/index.js';
export * from './report/index.js';
export { writeSynthDataset, type WriteDatasetOptions } from './synth/writeDataset.js';
export * from './train/index.js';
