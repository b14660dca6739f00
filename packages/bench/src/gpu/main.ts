#!/usr/bin/env node
import { appendFileSync } from 'node:fs';
import type { Kernels } from '@hyperarc/kernels-cuda';
import { Command, InvalidArgumentError, Option } from 'commander';

import { benchEnvironment } from '../environment.js';
import { listGpuCases, withFamilies, type GpuCase } from './cases.js';
import type { GpuSpec } from './protocol.js';
import { measureRates } from './rates.js';
import { hasFailed, NO_TIME, readLastRun, type GpuRecord } from './records.js';
import { runGpuGroup, type GpuRunOptions } from './runner.js';
import { formatGpuTable } from './table.js';

interface Flags {
  device: string;
  quick?: boolean;
  case?: string[];
  kernels: Kernels[];
  output: string;
  continue?: boolean;
  seconds: number;
  patience: number;
}

function chooseCases({ quick, case: names, device, kernels }: Flags): GpuCase[] {
  const all = listGpuCases(quick === true);
  const chosen = names === undefined ? all : all.filter(({ name }) => names.some((part) => name.includes(part)));
  if (chosen.length === 0) {
    throw new Error(
      `--case: expected a part of ${all.map(({ name }) => name).join(', ')}; received ${names?.join(', ')}`,
    );
  }
  // The CPU engine has one precision and chooses its kernels: enough to try the harness.
  if (device === 'cpu') return chosen.map((entry) => ({ ...entry, axes: { ...entry.axes, precision: 'fp32' } }));
  return withFamilies(chosen, kernels);
}

function begin({ device }: Flags, log: GpuRunOptions['log']): Pick<GpuRunOptions, 'run' | 'rates'> {
  const rates = measureRates(device);
  if (typeof rates === 'string') log(`SKIPPED the GPU's rates: ${rates}`);
  return { run: new Date().toISOString(), rates: typeof rates === 'string' ? undefined : rates };
}

async function run(flags: Flags): Promise<void> {
  const deadline = performance.now() + 1e3 * flags.seconds;
  const log = (line: string) => void process.stdout.write(`${line}\n`);
  const cases = chooseCases(flags);
  const earlier = flags.continue === true ? readLastRun(flags.output) : [];
  const { run, rates } = earlier[0] ?? begin(flags, log);
  const options: GpuRunOptions = {
    run,
    rates,
    quick: flags.quick === true,
    device: flags.device,
    environment: benchEnvironment(),
    log,
    deadline,
    patience: flags.patience,
    hung: new Set(),
  };
  const records: GpuRecord[] = [...earlier];
  for (const group of new Set(cases.map((entry) => entry.group))) {
    const members = cases.filter((entry) => entry.group === group);
    for (const record of await runGpuGroup(members, options)) {
      appendFileSync(flags.output, `${JSON.stringify(record)}\n`);
      records.push(record);
    }
  }
  log(`\n${formatGpuTable(records)}`);
  if (records.some((record) => hasFailed(record) || record.skipped === NO_TIME)) process.exitCode = 1;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError(`expected a number > 0, received ${text}`);
  return value;
}

const program = new Command('hyperarc-gpu-bench').description('one step of the head on a GPU, beside its peers');
program
  .command('run', { isDefault: true })
  .option('--device <name>', 'cuda:N, or cpu to try the harness', 'cuda:0')
  .option('--quick', 'tiny shapes that only prove that the harness works')
  .option('--case <part...>', 'only cases whose name contains one of these')
  .addOption(
    new Option('--kernels <family...>', 'kernel families of our head: each case is measured with each')
      .choices(['auto', 'plain', 'mma', 'wgmma'])
      .default(['mma', 'wgmma']),
  )
  .option('--output <file>', 'JSON lines, added to', 'gpu-records.jsonl')
  .option('--continue', 'more cases of the run that the output ends with: its rates, and one table')
  .option('--seconds <n>', 'what is not measured by then is left out, and said', positive, Infinity)
  .option(
    '--patience <seconds>',
    'a program of ours that is silent for so long is ended; a peer: 4 times that',
    positive,
    60,
  )
  .action(run);
program.command('child <spec>', { hidden: true }).action(async (spec: string) => {
  const { runHead } = await import('./head.js');
  await runHead(JSON.parse(spec) as GpuSpec);
});
await program.parseAsync();
