/**
 * Margin-softmax heads in plain tfjs ops, for any backend, browser included. Nothing here loads native code;
 * '@hyperarc/heads/engine' is the path for large class counts.
 */
export { HyperArcError } from '@hyperarc/kernels-cuda/errors';
export type { MarginRule } from '@hyperarc/kernels-cuda/margin';
export {
  MarginAdapter,
  needsNorms,
  type AdaptedMargin,
  type MarginState,
  type PreparedMargin,
} from './adaptive/index.js';
export type { AdapterBatch, TrainingBatch } from './adaptive/index.js';
export type { Labels } from './checks.js';
export { classCosines, type Centers } from './class-cosines.js';
export { MarginHead, type MarginHeadOptions } from './margin-head.js';
export { marginLogits } from './margin-logits.js';
export * from './inference/index.js';
export * from './losses/index.js';
export { marginSoftmaxLoss } from './margin-softmax.js';
export * from './specs/index.js';
export { explain, type Explanation, type TargetCurve } from './explain/index.js';
