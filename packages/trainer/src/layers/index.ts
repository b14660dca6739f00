/** Serialisable layers that train in few dispatches. Importing this module registers them for `loadLayersModel`. */
export { Activation, type ActivationFunction } from './activation.js';
export { MultiHeadAttention } from './attention.js';
export { FusedBatchNorm, type FusedBatchNormConfig } from './batchNorm.js';
export { PaddedConv2D, type PaddedConv2DConfig } from './conv2d.js';
export { DropPath } from './dropPath.js';
export { SeededDropout } from './dropout.js';
export { LayerNorm } from './layerNorm.js';
export { PaddedMaxPool, type PaddedMaxPoolConfig } from './maxPool.js';
export { PatchEmbedding, PositionEmbedding } from './patches.js';
export { PReLU, PRELU_INITIAL_SLOPE } from './prelu.js';
export type { SeededLayerConfig } from './seededLayer.js';
export { SqueezeExcite } from './squeezeExcite.js';
export { TokenDense, type TokenDenseConfig } from './tokenDense.js';
export { TokenDropout, TokenRestore } from './tokenDropout.js';
export { type CompareOptions, type LayerTiming, timeLayers } from './compare.js';
