/** The backbone's optimizer. */
export { globalNorm, nonFiniteNames } from './globalNorm.js';
export { GradientSum } from './gradientSum.js';
export { type ApplyOptions, SgdMomentum, type SgdMomentumOptions } from './sgdMomentum.js';
