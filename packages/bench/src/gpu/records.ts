import { existsSync, readFileSync } from 'node:fs';

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
  /** Why nothing was measured; then the fields below are absent. "failed: …" where the case went wrong. */
  skipped?: string;
  deviceMs?: Timing;
  wallMs?: Timing;
  /** Device memory taken beyond weights, momentum and `copyBytes`; absent where it cannot be told. */
  extraBytes?: number;
  /** A bf16 copy of the weights that stays. */
  copyBytes?: number;
}

/** Why a case was skipped that the time did not suffice for. */
export const NO_TIME = 'no time left';

/** The words for a case of our head with its family of kernels. */
export const caseName = (name: string, { kernels }: GpuAxes, program: GpuProgram): string =>
  program === 'head' && kernels !== 'auto' ? `${name} ${kernels}` : name;

export const hasFailed = ({ skipped }: GpuRecord): boolean => skipped?.startsWith('failed: ') === true;

/** The records of the run that a file of JSON lines ends with; none where there is no file. */
export function readLastRun(file: string): GpuRecord[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  const records = lines.flatMap((line) => (line === '' ? [] : [JSON.parse(line) as GpuRecord]));
  return records.filter(({ run }) => run === records.at(-1)!.run);
}
