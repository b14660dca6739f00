export { BalancedSampler, type BalancedOptions } from './balanced.js';
export { GroupBalancedSampler, type GroupBalancedOptions } from './groupBalanced.js';
export { type Sampler } from './sampler.js';
export { ShuffleSampler } from './shuffle.js';
