import type { BenchEnvironment } from '../environment.js';
import type { Timing } from '../measure.js';
import type { GpuAxes, GpuProgram } from './cases.js';
import type { Rates } from './counts.js';

/** One measured case on a GPU, or the reason why it could not be measured. */
export interface GpuRecord {
  format: 'hyperarc-gpu-bench-1';
  /** Shared by the records of one run: its start, ISO 8601. */
  run: string;
  quick: boolean;
  case: string;
  program: GpuProgram;
  axes: GpuAxes;
  device: string;
  /** Device name, kernels, versions, clock, loss. */
  facts: Record<string, string | number>;
  environment: BenchEnvironment;
  /** Rates of this GPU measured in the same run; absent where they could not be. */
  rates?: Rates;
  /** Why nothing was measured; then the fields below are absent. */
  skipped?: string;
  deviceMs?: Timing;
  wallMs?: Timing;
  /** Device memory taken beyond weights, momentum and `copyBytes`; absent where it cannot be told. */
  extraBytes?: number;
  /** A bf16 copy of the weights that stays. */
  copyBytes?: number;
}
