/** The backbone's optimizer. */
export { AdamW, type AdamWOptions } from './adamW.js';
export { globalNorm, nonFiniteNames } from './globalNorm.js';
export { GradientSum } from './gradientSum.js';
export { MovingAverage, type MovingAverageOptions } from './movingAverage.js';
export { type ApplyOptions, type Factors, Optimizer, type OptimizerOptions } from './optimizer.js';
export { SgdMomentum, type SgdMomentumOptions } from './sgdMomentum.js';
export { variableGradients } from './variableGradients.js';
