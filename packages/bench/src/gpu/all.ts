#!/usr/bin/env node
/** `run all` of a bundle: everything that proves and measures, within the time that a machine is lent for. docs/air-gapped.md. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';

import { endPart, runParts, type Part, type PartResult } from './day.js';
import { proofRows, readTestLines } from './proofs.js';
import { readLastRun } from './records.js';
import { formatSummary } from './results.js';

interface Flags {
  minutes: number;
  output: string;
  device: string;
  count?: string;
  classes?: string;
  quick?: boolean;
}

const FILES = {
  log: 'all.log',
  tests: 'tests.jsonl',
  sanitizer: 'sanitize.jsonl',
  bench: 'bench.jsonl',
  summary: 'summary.md',
};

function partsOf(flags: Flags, file: Record<keyof typeof FILES, string>): Part[] {
  const device = ['--device', flags.device];
  const sizes = [
    ...(flags.count === undefined ? [] : ['--count', flags.count]),
    ...(flags.classes === undefined ? [] : ['--classes', flags.classes]),
  ];
  const bench = ['bench', ...device, '--output', file.bench, ...(flags.quick === true ? ['--quick'] : [])];
  // The shares leave later parts their time whatever the earlier ones take.
  return [
    { name: 'info', args: ['info'], share: 0.2, takesSeconds: false },
    { name: 'test', args: ['test', ...device, ...sizes, '--output', file.tests], share: 0.4, takesSeconds: true },
    { name: 'bench of 1M classes', args: [...bench, '--case', '1m'], share: 0.6, takesSeconds: true },
    { name: 'sanitize', args: ['sanitize', ...device, '--output', file.sanitizer], share: 0.6, takesSeconds: true },
    {
      name: 'bench of 10M classes and more',
      args: [...bench, '--continue', '--case', '10m', '20m', '40m'],
      share: 0.95,
      takesSeconds: true,
    },
  ];
}

async function all(flags: Flags): Promise<void> {
  const run = process.env['HYPERARC_RUN'];
  if (run === undefined)
    throw new Error("HYPERARC_RUN: expected the path of a bundle's run; start this with `run all`");
  mkdirSync(flags.output, { recursive: true });
  const entries = Object.entries(FILES).map(([key, name]) => [key, join(flags.output, name)]);
  const file = Object.fromEntries(entries) as Record<keyof typeof FILES, string>;
  const summarize = (results: readonly PartResult[]) => {
    const proofs = proofRows(readTestLines(file.tests), readTestLines(file.sanitizer));
    const text = formatSummary(process.env['HYPERARC_COMMIT'] ?? 'unknown', results, readLastRun(file.bench), proofs);
    writeFileSync(`${file.summary}.new`, text);
    renameSync(`${file.summary}.new`, file.summary);
    return text;
  };
  for (const name of Object.values(file)) writeFileSync(name, '', { flag: 'a' });
  let done: readonly PartResult[] = [];
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      endPart('SIGTERM');
      process.stdout.write(`\n${summarize(done)}\nended by ${signal}\n`);
      process.exit(130);
    });
  }
  const results = await runParts(partsOf(flags, file), {
    run,
    deadline: performance.now() + 60e3 * flags.minutes,
    logFile: file.log,
    log: (text) => void process.stdout.write(text),
    onResult: (soFar) => {
      done = [...soFar];
      summarize(done);
    },
  });
  process.stdout.write(`\n${summarize(results)}\n${file.summary}\n`);
  process.exitCode = results.every(({ status }) => status === 0) ? 0 : 1;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError(`expected a number > 0, received ${text}`);
  return value;
}

await new Command('hyperarc-gpu-all')
  .description('info, test, bench of 1M classes, sanitize, bench of more classes; then a summary')
  .option('--minutes <n>', 'all parts together; what does not fit is not run, and said', positive, Infinity)
  .option('--output <folder>', 'log, records and summary', 'gpu-results')
  .option('--device <name>', 'cuda:N, or cpu to try the harness', 'cuda:0')
  .option('--count <n>', 'random shapes of test')
  .option('--classes <n>', 'classes of the large test')
  .option('--quick', 'tiny shapes in bench')
  .action(all)
  .parseAsync();
