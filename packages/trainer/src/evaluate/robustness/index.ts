export { CorruptingLoader } from './corruptingLoader.js';
export { formatRobustness } from './format.js';
export {
  evaluateRobustness,
  readRobustness,
  writeRobustness,
  type Condition,
  type CorruptedCondition,
  type Robustness,
  type RobustnessOptions,
} from './robustness.js';
export { YAW_EDGES, yawBins, type YawBin } from './yaw.js';
