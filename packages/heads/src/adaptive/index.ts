export {
  MarginAdapter,
  needsNorms,
  type AdaptedMargin,
  type MarginState,
  type PreparedMargin,
} from './margin-adapter.js';
export type { AdapterBatch, TrainingBatch } from './runtime.js';
export { sumOfLosses } from './rows.js';
