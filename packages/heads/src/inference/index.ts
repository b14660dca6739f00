/** What a trained head says of embeddings; for tfjs centres and the engine's alike. */
export type { EngineCenters, HeadWithCenters } from './center-source.js';
export { dropNoise, type CleanedSet } from './drop-noise.js';
export { classify, nearestCenters, type Classification, type NearestCenters } from './nearest.js';
export {
  subCenterReport,
  type LabelledBatch,
  type SubCenterReport,
  type SubCenterReportOptions,
} from './sub-center-report.js';
