/**
 * The float64 reference of docs/numerics.md: the oracle that every implementation is checked against. Plain loops over
 * plain arrays, made to be read, for problems of a few million multiplications.
 */
export { adamwUpdate, roundAdamWState, type AdamWState, type ReferenceAdamW } from './adamw.js';
export { roundBf16, roundBf16Stochastic, roundingBits, secondMomentBits } from './bf16.js';
export { centerGradient } from './center-gradient.js';
export { classCosine, cosines, type ClassCosine } from './cosine.js';
export { forward, type ReferenceStep, type ShardStep } from './forward.js';
export { CLIP_RADIANS, targetLogit, targetThreshold, type TargetLogit } from './margin.js';
export { logSumExp, type Negative, negativeProbability, negativeValue, type NegativeValue } from './negatives.js';
export { philox4x32, type Words2, type Words4 } from './philox.js';
export type { Participants, ReferenceBatch, ReferenceCenters, ReferenceRule } from './problem.js';
export { classKey, sampleClasses, type SampleRequest } from './sampler.js';
export { seedRows } from './seeding.js';
export { drawnRows, roundState, sgdUpdate, type ReferenceSgd, type SgdState } from './sgd.js';
export { NOISE_SINE, type TargetTerm } from './target.js';
export { dot, norm, tangentPart, unit, ZERO_NORM } from './vectors.js';
