/** The losses that do not run on the margin engine: plain tfjs ops. */
export { CenterLoss, centerLoss, type CenterLossNumbers, type CenterLossOptions } from './center-loss.js';
export { circleLoss, type CircleLossOptions } from './circle-loss.js';
export { contrastiveLoss, type ContrastiveLossOptions } from './contrastive-loss.js';
export { softmaxLoss } from './softmax-loss.js';
export { sphereFace2Bias, sphereFace2Loss, type SphereFace2Options } from './sphere-face2-loss.js';
export { tripletLoss, type TripletLossOptions, type TripletMining } from './triplet-loss.js';
export { unifaceBias, unifaceLoss, type UnifaceOptions } from './uniface-loss.js';
