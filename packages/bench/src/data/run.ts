import { appendFileSync, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { benchEnvironment } from '../environment.js';
import { measureOpening, type Opening } from './opening.js';
import { measureRates, type Rates } from './rates.js';

/** One line of data.jsonl. */
interface DataRecord {
  readonly format: 'hyperarc-bench-data-1';
  readonly run: string;
  readonly environment: ReturnType<typeof benchEnvironment>;
  readonly rates: Rates;
  readonly opening: Opening;
}

export interface DataOptions {
  readonly rounds: number;
  /** Records of the dataset whose opening is timed. */
  readonly records: number;
  readonly results: string;
  readonly log: (line: string) => void;
}

/** Bar of the loader's rate, as a share of `sharp` alone. */
const RATE_BAR = 0.9;
/** Bar of opening with an index, in seconds. */
const OPEN_BAR = 1;

/** Measures reading and opening of datasets, adds a record to `results`, and returns Markdown. */
export async function runData({ rounds, records, results, log }: DataOptions): Promise<string> {
  const record: DataRecord = {
    format: 'hyperarc-bench-data-1',
    run: new Date().toISOString(),
    environment: benchEnvironment(),
    rates: await measureRates(availableParallelism(), rounds, log),
    opening: measureOpening(records, log),
  };
  mkdirSync(results, { recursive: true });
  appendFileSync(join(results, 'data.jsonl'), `${JSON.stringify(record)}\n`);
  const { rates, opening } = record;
  const loaders = Object.entries(rates.ratios).filter(([name]) => name.startsWith('loader'));
  const verdict = (passed: boolean): string => (passed ? 'PASS' : 'FAIL');
  return [
    `${rates.images} images of 112×112, ${rates.threads} threads, ${record.environment.cpu}:`,
    '',
    '| | images/s | of sharp alone |',
    '| --- | ---: | ---: |',
    ...Object.entries(rates.imagesPerSecond).map(
      ([name, rate]) => `| ${name} | ${rate.toFixed(0)} | ${(100 * rates.ratios[name]!).toFixed(0)}% |`,
    ),
    '',
    `RecordIO of ${opening.images} images, ${opening.identities} identities: indexed in ${opening.indexSeconds.toFixed(1)} s; opened with the index in ${opening.openSeconds.toFixed(2)} s, ${(opening.peakBytes / 1e6).toFixed(0)} MB at most.`,
    '',
    `${verdict(loaders.every(([, ratio]) => ratio >= RATE_BAR))} the loader reads at least ${100 * RATE_BAR}% of what sharp alone reads`,
    `${verdict(opening.openSeconds < OPEN_BAR)} a dataset with an index opens in under ${OPEN_BAR} s`,
  ].join('\n');
}
