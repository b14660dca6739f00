export { BatchLoader, type Batch, type BatchLoaderOptions, type LoaderState } from './batchLoader.js';
export { checkDataset } from './checkDataset.js';
export type { DatasetFinding, DatasetReport, FindingKind } from './findings.js';
export { decodeImage, MAX_INPUT_PIXELS } from './decodeImage.js';
export { scanImageFolder, splitIdentities, type ImageDataset, type ImageSample } from './imageFolder.js';
export { KeyedRandom } from './keyedRandom.js';
export { createImageLoader, loadImages, type ImageLoader } from './loadImages.js';
export { makePairs, readPairs, writePairs, type ImagePair, type MakePairsOptions } from './pairs.js';
