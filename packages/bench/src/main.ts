#!/usr/bin/env node
import { renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { BackendChoice } from '@hyperarc/trainer';
import { Command, InvalidArgumentError, Option } from 'commander';

import { listCases, type Case } from './cases.js';
import { benchEnvironment } from './environment.js';
import { plotRun } from './plot.js';
import { appendRecord, readRecords, recordsOfRun, type CaseRecord } from './records.js';
import { groupCases, runGroup } from './runner.js';
import { formatTable } from './table.js';

const RESULTS = join(import.meta.dirname, '..', 'results');

interface RunFlags {
  quick?: boolean;
  case?: string[];
  threads?: number;
  results: string;
}

interface BackboneFlags {
  model?: string[];
  batch: number;
  rounds: number;
  threads?: number;
  note?: string;
  results: string;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return Number(text);
}

interface SearchFlags {
  rows: number;
  probes: number;
  dim: number;
  k: number;
  iterations: number;
  blockedOnly?: boolean;
  index?: boolean;
  intrinsic: number;
  lists?: number;
  recall?: number;
  results: string;
}

function count(text: string): number {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return Number(text);
}

function share(text: string): number {
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : NaN;
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('Expected a number in (0, 1].');
  return value;
}

/** The cases of these names, or whose names contain one of them; all without names. */
function chooseCases(quick: boolean, names: readonly string[] | undefined): readonly Case[] {
  const all = listCases(quick);
  if (names === undefined) return all;
  const exact = new Set(all.map((entry) => entry.name).filter((name) => names.includes(name)));
  const parts = names.filter((name) => !exact.has(name));
  const chosen = all.filter(({ name }) => exact.has(name) || parts.some((part) => name.includes(part)));
  if (chosen.length === 0) {
    throw new Error(
      `--case: expected a part of ${all.map((entry) => entry.name).join(', ')}; received ${names.join(', ')}`,
    );
  }
  return chosen;
}

async function run(flags: RunFlags): Promise<void> {
  const quick = flags.quick === true;
  const cases = chooseCases(quick, flags.case);
  const options = {
    run: new Date().toISOString(),
    quick,
    threads: flags.threads ?? availableParallelism(),
    environment: benchEnvironment(),
    log: (line: string) => void process.stdout.write(`${line}\n`),
  };
  const records: CaseRecord[] = [];
  for (const group of groupCases(cases)) {
    for (const record of await runGroup(group, options)) {
      appendRecord(flags.results, record);
      records.push(record);
    }
  }
  process.stdout.write(`\n${formatTable(records)}\n`);
}

function chosenRun(flags: { results: string; run?: string }): CaseRecord[] {
  const records = recordsOfRun(readRecords(flags.results), flags.run);
  if (records.length === 0)
    throw new Error(`no records of ${flags.run ?? 'any run'} in ${flags.results}; run the benchmark first`);
  return records;
}

function plot(flags: { results: string; run?: string; output?: string }): void {
  const output = flags.output ?? join(flags.results, 'steps.svg');
  writeFileSync(`${output}.partial`, plotRun(chosenRun(flags)));
  renameSync(`${output}.partial`, output);
  process.stdout.write(`${output} written\n`);
}

const program = new Command('hyperarc-bench').description("HyperArc's benchmarks; see packages/bench/README.md");
program
  .command('run', { isDefault: true })
  .description('measure, append to records.jsonl, print the table and the verdicts')
  .option('--quick', 'tiny shapes that only prove that the harness works')
  .option('--case <name...>', 'only cases whose name contains one of these')
  .option('--threads <n>', 'threads of every program (default: all cores)', wholeNumber)
  .option('--results <folder>', 'folder of records.jsonl', RESULTS)
  .action(run);
program
  .command('table')
  .description('print a run as Markdown')
  .option('--run <start>', 'start of the run as in its records (default: the newest)')
  .option('--results <folder>', 'folder of records.jsonl', RESULTS)
  .action(
    (flags: { results: string; run?: string }) => void process.stdout.write(`${formatTable(chosenRun(flags))}\n`),
  );
program
  .command('plot')
  .description('draw a run as SVG: time of a step over the number of classes')
  .option('--run <start>', 'start of the run as in its records (default: the newest)')
  .option('--results <folder>', 'folder of records.jsonl', RESULTS)
  .option('--output <file>', 'SVG file (default: steps.svg in the results folder)')
  .action(plot);
program
  .command('layers')
  .description("time the backbones' fused layers against tfjs's own, append to layers.jsonl, print the table")
  .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm']).default('auto'))
  .option('--results <folder>', 'folder of layers.jsonl', RESULTS)
  .action(async ({ backend, results }: { backend: BackendChoice; results: string }) => {
    const { runLayers } = await import('./layers.js');
    process.stdout.write(`${await runLayers(backend, results)}\n`);
  });
program
  .command('data')
  .description('time the reading and the opening of datasets, append to data.jsonl, print the table and the verdicts')
  .option('--rounds <n>', 'epochs of each program', wholeNumber, 7)
  .option('--records <n>', 'millions of records of the dataset that is opened', wholeNumber, 17)
  .option('--results <folder>', 'folder of data.jsonl', RESULTS)
  .action(async ({ rounds, records, results }: { rounds: number; records: number; results: string }) => {
    const { runData } = await import('./data/run.js');
    const log = (line: string) => void process.stderr.write(`${line}\n`);
    process.stdout.write(`${await runData({ rounds, records: records * 1e6, results, log })}\n`);
  });
program
  .command('optimizer')
  .description("time the optimizers' updates beside forward and backward, append to optimizer.jsonl, print the table")
  .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm']).default('auto'))
  .option('--results <folder>', 'folder of optimizer.jsonl', RESULTS)
  .action(async ({ backend, results }: { backend: BackendChoice; results: string }) => {
    const { runOptimizer } = await import('./optimizer.js');
    process.stdout.write(`${await runOptimizer(backend, results)}\n`);
  });
program
  .command('backbones')
  .description("time training steps of backbones from our layers, tfjs's own and in PyTorch, append to backbones.jsonl")
  .option('--model <name...>', 'iresnet50, mobilefacenet (default: both)')
  .option('--batch <n>', 'images a step', wholeNumber, 8)
  .option('--rounds <n>', 'timed steps of each', wholeNumber, 6)
  .option('--threads <n>', 'threads of TensorFlow and of PyTorch (default: all cores)', wholeNumber)
  .option('--note <text>', 'what should be known of the machine, for the record')
  .option('--results <folder>', 'folder of backbones.jsonl', RESULTS)
  .action(async (flags: BackboneFlags) => {
    const { BACKBONES, runBackbones } = await import('./backbones.js');
    const models = flags.model ?? [...BACKBONES];
    const unknown = models.find((name) => !(BACKBONES as readonly string[]).includes(name));
    if (unknown !== undefined) throw new Error(`--model: expected ${BACKBONES.join(' or ')}, received ${unknown}`);
    const { batch, rounds, note, results, threads = availableParallelism() } = flags;
    const chosen = BACKBONES.filter((name) => models.includes(name));
    const log = (line: string) => void process.stderr.write(`${line}\n`);
    process.stdout.write(`${await runBackbones({ models: chosen, batch, rounds, threads, note, results, log })}\n`);
  });
program
  .command('heads')
  .description('train toy models under the margin heads, append to heads.jsonl, print the tables')
  .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'cpu']).default('auto'))
  .option('--results <folder>', 'folder of heads.jsonl', RESULTS)
  .action(async ({ backend, results }: { backend: BackendChoice; results: string }) => {
    const { runHeads } = await import('./heads/run.js');
    const log = (line: string) => void process.stderr.write(`${line}\n`);
    process.stdout.write(`${await runHeads(backend, results, log)}\n`);
  });
program
  .command('search')
  .description(
    'time exact search of a gallery against all cosines at once and against an index, append to search.jsonl, print the table',
  )
  .option('--rows <n>', 'rows of the gallery', count, 1_000_000)
  .option('--probes <n>', 'probes', count, 1000)
  .option('--dim <n>', 'numbers of a row', count, 512)
  .option('--k <n>', 'nearest rows of each probe', count, 10)
  .option('--iterations <n>', 'searches of each method, in turns', count, 3)
  .option('--index', 'search through an index too, with its recall measured')
  .option('--lists <n>', 'lists of the index (default: square root of the rows)', count)
  .option('--recall <share>', 'recall that the index is to reach (default: 0.99)', share)
  .option('--intrinsic <n>', 'rows near a space of so many dimensions instead of uniform ones', count, 0)
  .option('--blocked-only', 'leave the naive search out: at the default sizes it takes 12 GB')
  .option('--results <folder>', 'folder of search.jsonl', RESULTS)
  .action(async ({ results, ...shape }: SearchFlags) => {
    const { runSearch } = await import('./search.js');
    if (shape.index !== true && (shape.lists ?? shape.recall) !== undefined)
      throw new Error('--lists, --recall: expected --index beside them, received none; add it');
    const methods = { blockedOnly: shape.blockedOnly === true, index: shape.index === true };
    process.stdout.write(`${runSearch({ ...shape, ...methods }, results)}\n`);
  });
program
  .command('list')
  .description('print the cases')
  .action(() =>
    listCases(false).forEach(({ name, axes }) => process.stdout.write(`${name}  ${JSON.stringify(axes)}\n`)),
  );
try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
