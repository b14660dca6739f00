export { HyperArcError } from './errors.js';
export { checkMarginRule, type MarginRule } from './margin.js';
export type { Fallback, GradientMode, HyperArcErrorCode, InstructionSet, Precision, Unsampled } from './binding.js';
