export {
  evaluateFairness,
  MIN_PEOPLE,
  readFairness,
  writeFairness,
  type Fairness,
  type FairnessOptions,
  type GroupFairness,
  type GroupsOf,
} from './fairness.js';
export { formatFairness, intervalNotes } from './format.js';
export { measureFairness, type FairnessMeasures, type GroupRates } from './measures.js';
export { type Interval } from './bootstrap.js';
export { readSetGroups, type SetGroups } from './setGroups.js';
export { groupPairs, type GroupPairsOptions } from './pairs.js';
