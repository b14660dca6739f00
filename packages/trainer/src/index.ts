/** The trainer as a library. The `hyperarc` command is in ./cli. */
export { backendStatus, initBackend, type BackendChoice, type BackendInfo } from './backend/index.js';
export * from './backbones/index.js';
export * from './checkpoint/index.js';
export * from './compare/index.js';
export * from './config/index.js';
export { alignFace, decodeWhole, warpAffine, type RgbImage } from './data/align/warp.js';
export {
  ARCFACE_TEMPLATE,
  arcFaceTemplate,
  similarityTransform,
  type AffineMatrix,
  type Point,
} from './data/align/similarity.js';
export {
  alignDataset,
  alignPhotos,
  AUGMENT_PRESETS,
  augmentImage,
  BalancedSampler,
  BatchLoader,
  checkDataset,
  convertDataset,
  createImageLoader,
  CORRUPTIONS,
  corruptImage,
  FaceDetector,
  faceRecords,
  GroupBalancedSampler,
  ImageFolder,
  makeAttributePairs,
  makePairs,
  openDataset,
  readAttribute,
  readGroups,
  readPairs,
  resolvePlan,
  scanImageFolder,
  splitIdentities,
  writePairs,
  type AugmentPlan,
  type AlignOptions,
  type AlignResult,
  type AlignPhotosOptions,
  type AlignPhotosResult,
  type AttributePairsOptions,
  type AttributeValues,
  type Batch,
  type BatchLoaderOptions,
  type CheckOptions,
  type ConvertOptions,
  type ConvertResult,
  type DatasetReport,
  type DetectorOptions,
  type Detection,
  type Face,
  type FaceRecord,
  type FaceRule,
  type ImageDataset,
  type LoaderState,
  type Sampler,
} from './data/index.js';
export * from './embed/index.js';
export * from './evaluate/index.js';
export * from './export/index.js';
export * from './import/index.js';
export * from './layers/index.js';
export * from './metrics/index.js';
export * from './optim/index.js';
export * from './report/index.js';
export type { Shares, SynthControls } from './synth/controls.js';
export { writeSynthDataset, type WriteDatasetOptions } from './synth/writeDataset.js';
export * from './train/index.js';
