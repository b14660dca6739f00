import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Axes, ProgramName } from './cases.js';
import type { BenchEnvironment } from './environment.js';
import type { Timing } from './measure.js';

/** One measured case, or the reason why it could not be measured. One line of records.jsonl. */
export interface CaseRecord {
  format: 'hyperarc-bench-1';
  /** Shared by the records of one run: its start, ISO 8601. */
  run: string;
  quick: boolean;
  case: string;
  program: ProgramName;
  axes: Axes;
  threads: number;
  /** Versions and choices of the program: instruction set, addon build, library versions. */
  facts: Record<string, string | number>;
  environment: BenchEnvironment;
  /** Why nothing was measured; then the fields below are absent. */
  skipped?: string;
  iterations?: number;
  elapsedMs?: Timing;
  cpuMs?: Timing;
  /** 10⁹ operations a second at the median, by the count in `headFlops`, or by the program's own count. */
  gflops?: number;
  /** VmHWM of the child process. */
  peakBytes?: number;
  /** Memory of its own that the child took from just before it made the centres, less weights and momentum. */
  extraBytes?: number;
  /** Of cases that are compared with another one of their group. */
  ratio?: Ratio;
}

/** Round by round, the median of this case's iterations over that of case `to` in the same round. */
export interface Ratio {
  to: string;
  elapsed: Timing;
  cpu: Timing;
}

const fileOf = (folder: string) => join(folder, 'records.jsonl');

/** Adds one line; lines already there are never touched. */
export function appendRecord(folder: string, record: CaseRecord): void {
  mkdirSync(folder, { recursive: true });
  appendFileSync(fileOf(folder), `${JSON.stringify(record)}\n`);
}

/** All records, oldest first; a last line cut short is left out. */
export function readRecords(folder: string): CaseRecord[] {
  if (!existsSync(fileOf(folder))) return [];
  const lines = readFileSync(fileOf(folder), 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as CaseRecord);
}

/** The records of one run; without a name, of the newest. */
export function recordsOfRun(records: readonly CaseRecord[], run = records.at(-1)?.run): CaseRecord[] {
  return records.filter((record) => record.run === run);
}
