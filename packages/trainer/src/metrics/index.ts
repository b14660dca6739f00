/** Metrics of a run: metrics.jsonl and TensorBoard events. */
export { MetricsWriter, readMetrics, type EvaluateRecord, type MetricsRecord, type TrainRecord } from './jsonLines.js';
export { TensorBoardWriter } from './tensorBoard.js';
