/** Serialisable layers that train in few dispatches. Importing this module registers them for `loadLayersModel`. */
export { FusedBatchNorm, type FusedBatchNormConfig } from './batchNorm.js';
export { PaddedConv2D, type PaddedConv2DConfig } from './conv2d.js';
export { SeededDropout, type SeededDropoutConfig } from './dropout.js';
export { PReLU, PRELU_INITIAL_SLOPE } from './prelu.js';
export { type CompareOptions, type LayerTiming, timeLayers } from './compare.js';
