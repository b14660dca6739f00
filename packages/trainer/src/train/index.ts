/** The training loop: `train(options)` and what it writes. */
export { settleBatchSize } from './autoBatch.js';
export { RunFolder } from './runFolder.js';
export { createSchedule, type Schedule } from './schedule.js';
export { trainStep, type MicroBatch, type StepHead, type StepParts, type StepRates, type StepResult } from './step.js';
export { train, type RunEnd, type TrainOptions, type TrainResult } from './train.js';
