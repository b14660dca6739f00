export {
  evaluateMegaFace,
  type MegaFaceEvaluation,
  type MegaFaceEvaluationOptions,
  type NoisyProbes,
} from './evaluateMegaFace.js';
export { formatMegaFace } from './format.js';
export { evaluateDistractors, type MegaFaceFigures, type MegaFaceOptions, type RankFigure } from './identify.js';
export type {
  DistractorIndex,
  DistractorSearchOptions,
  DistractorVerification,
  IndexFigures,
} from './searchDistractors.js';
export { readMegaFace } from './readMegaFace.js';
