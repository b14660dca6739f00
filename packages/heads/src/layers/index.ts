/**
 * Margin-softmax heads for `model.compile` and `model.fit` of '@tensorflow/tfjs-layers', on any backend that can be read
 * synchronously. Importing this registers the layers, so that saved models load.
 */
export { ClassCosines, type ClassCosinesConfig } from './class-cosines-layer.js';
export { marginLoss, type MarginLoss, type MarginLossOptions } from './margin-loss.js';
