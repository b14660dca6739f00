#!/usr/bin/env node
import { appendFileSync } from 'node:fs';
import type { Kernels } from '@hyperarc/kernels-cuda';
import { Command, Option } from 'commander';

import { benchEnvironment } from '../environment.js';
import { listGpuCases, type GpuCase } from './cases.js';
import type { GpuSpec } from './protocol.js';
import { measureRates } from './rates.js';
import type { GpuRecord } from './records.js';
import { runGpuGroup } from './runner.js';
import { formatGpuTable } from './table.js';

interface Flags {
  device: string;
  quick?: boolean;
  case?: string[];
  kernels: Kernels;
  output: string;
}

function chooseCases({ quick, case: names, device, kernels }: Flags): GpuCase[] {
  const all = listGpuCases(quick === true).map((entry) =>
    entry.axes.kernels === 'auto' ? { ...entry, axes: { ...entry.axes, kernels } } : entry,
  );
  const chosen = names === undefined ? all : all.filter(({ name }) => names.some((part) => name.includes(part)));
  if (chosen.length === 0) {
    throw new Error(
      `--case: expected a part of ${all.map(({ name }) => name).join(', ')}; received ${names?.join(', ')}`,
    );
  }
  // The CPU engine has one precision: enough to try the harness.
  if (device === 'cpu') return chosen.map((entry) => ({ ...entry, axes: { ...entry.axes, precision: 'fp32' } }));
  return chosen;
}

async function run(flags: Flags): Promise<void> {
  const log = (line: string) => void process.stdout.write(`${line}\n`);
  const cases = chooseCases(flags);
  const rates = measureRates(flags.device);
  if (typeof rates === 'string') log(`SKIPPED the GPU's rates: ${rates}`);
  const options = {
    run: new Date().toISOString(),
    quick: flags.quick === true,
    device: flags.device,
    rates: typeof rates === 'string' ? undefined : rates,
    environment: benchEnvironment(),
    log,
  };
  const records: GpuRecord[] = [];
  for (const group of new Set(cases.map((entry) => entry.group))) {
    const members = cases.filter((entry) => entry.group === group);
    for (const record of await runGpuGroup(members, options)) {
      appendFileSync(flags.output, `${JSON.stringify(record)}\n`);
      records.push(record);
    }
  }
  log(`\n${formatGpuTable(records)}`);
}

const program = new Command('hyperarc-gpu-bench').description('one step of the head on a GPU, beside its peers');
program
  .command('run', { isDefault: true })
  .option('--device <name>', 'cuda:N, or cpu to try the harness', 'cuda:0')
  .option('--quick', 'tiny shapes that only prove that the harness works')
  .option('--case <part...>', 'only cases whose name contains one of these')
  .addOption(
    new Option('--kernels <family>', 'kernel family of our head where a case leaves the choice to the engine')
      .choices(['auto', 'plain', 'mma', 'wgmma'])
      .default('auto'),
  )
  .option('--output <file>', 'JSON lines, added to', 'gpu-records.jsonl')
  .action(run);
program.command('child <spec>', { hidden: true }).action(async (spec: string) => {
  const { runHead } = await import('./head.js');
  await runHead(JSON.parse(spec) as GpuSpec);
});
await program.parseAsync();
