import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { CaseProcess, pythonCommand } from './child.js';
import { benchEnvironment } from './environment.js';
import { percentile, summarize } from './measure.js';

/** ours: HyperArc's layers; stock: tfjs's own; the peer with PyTorch's usual memory format and with that of NHWC. */
const PROGRAMS = ['ours', 'stock', 'pytorch', 'pytorch-channels-last'] as const;
type ProgramName = (typeof PROGRAMS)[number];

export const BACKBONES = ['iresnet50', 'mobilefacenet'] as const;

/** What a child process of programs/backbone.ts or peers/pytorch_backbone.py is told. */
export interface BackboneSpec {
  program: ProgramName;
  model: (typeof BACKBONES)[number];
  batch: number;
  threads: number;
}

export interface BackboneOptions {
  models: readonly BackboneSpec['model'][];
  /** Images a step. */
  batch: number;
  /** Timed steps of each program, which take turns; one more warms up. */
  rounds: number;
  threads: number;
  /** What should be known about the machine, for the record. */
  note?: string | undefined;
  /** Folder of backbones.jsonl. */
  results: string;
  /** Told of each program when it is ready and when a round is over. */
  log: (line: string) => void;
}

interface Row {
  model: string;
  program: ProgramName;
  /** Absent where the program was skipped. */
  stepMs?: { best: number; median: number };
  cpuMs?: { best: number; median: number };
  imagesPerSecond?: number;
  peakBytes?: number;
  facts?: Record<string, string | number>;
  skipped?: string;
  /** Median over the rounds of this program's wall and processor time over that of ours in the same round. */
  overOurs?: { wall: number; cpu: number };
}

/** One line of backbones.jsonl. */
interface BackbonesRecord {
  format: 'hyperarc-bench-backbones-1';
  run: string;
  batch: number;
  rounds: number;
  threads: number;
  note?: string;
  environment: ReturnType<typeof benchEnvironment>;
  rows: Row[];
}

interface Running {
  row: Row;
  child: CaseProcess;
  elapsedMs: number[];
  cpuMs: number[];
}

const PEER = join(import.meta.dirname, '..', 'peers', 'pytorch_backbone.py');
const OURS = join(import.meta.dirname, 'programs', 'backbone.js');

const median = (values: readonly number[]) =>
  percentile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
const short = (values: readonly number[]) => ({ best: Math.min(...values), median: median(values) });

async function measureModel(model: BackboneSpec['model'], options: BackboneOptions): Promise<Row[]> {
  const { batch, threads, rounds } = options;
  const rows: Row[] = [];
  const running: Running[] = [];
  try {
    for (const program of PROGRAMS) {
      const command = program.startsWith('pytorch') ? [pythonCommand(), PEER] : [process.execPath, OURS];
      const child = new CaseProcess(command, { program, model, batch, threads } satisfies BackboneSpec);
      const row: Row = { model, program };
      const entry = { row, child, elapsedMs: [], cpuMs: [] };
      running.push(entry);
      rows.push(row);
      const answer = await child.start();
      if (answer.kind === 'skip') {
        running.pop();
        child.kill();
        row.skipped = answer.reason;
        continue;
      }
      row.facts = answer.facts;
      const parameters = running[0]!.row.facts?.['parameters'];
      if (answer.facts['parameters'] !== parameters) {
        throw new Error(
          `${model}, ${program}: expected ${parameters} parameters, as ours, received ${answer.facts['parameters']}`,
        );
      }
      await child.measure(1);
      options.log(`${model}, ${program}: ready`);
    }
    for (let round = 0; round < rounds; round++) {
      for (const { child, elapsedMs, cpuMs } of running) {
        const samples = await child.measure(1);
        elapsedMs.push(...samples.elapsedMs);
        cpuMs.push(...samples.cpuMs);
      }
      options.log(`${model}: round ${round + 1} of ${rounds}`);
    }
    const ours = running[0]!;
    for (const { row, child, elapsedMs, cpuMs } of running) {
      const over = (values: readonly number[], base: readonly number[]) =>
        summarize(values.map((value, round) => value / base[round]!)).p50;
      row.stepMs = short(elapsedMs);
      row.cpuMs = short(cpuMs);
      row.imagesPerSecond = (1000 * batch) / row.stepMs.median;
      row.overOurs = { wall: over(elapsedMs, ours.elapsedMs), cpu: over(cpuMs, ours.cpuMs) };
      row.peakBytes = (await child.finish()).peakBytes;
    }
  } finally {
    for (const { child } of running) child.kill();
  }
  return rows;
}

function line({ model, program, skipped, stepMs, cpuMs, imagesPerSecond, peakBytes, overOurs }: Row): string {
  if (stepMs === undefined) return `| ${model} | ${program} | skipped: ${skipped} | | | | | |`;
  const cells = [
    imagesPerSecond!.toFixed(1),
    stepMs.median.toFixed(0),
    stepMs.best.toFixed(0),
    cpuMs!.median.toFixed(0),
    (peakBytes! / 1e6).toFixed(0),
    `${overOurs!.wall.toFixed(2)} (${overOurs!.cpu.toFixed(2)})`,
  ];
  return `| ${model} | ${program} | ${cells.join(' | ')} |`;
}

/** Times training steps of backbones from our layers, from tfjs's own, and in PyTorch; adds a record and returns a Markdown table. */
export async function runBackbones(options: BackboneOptions): Promise<string> {
  // Of the code that is measured: it may be committed or changed meanwhile.
  const [run, environment] = [new Date().toISOString(), benchEnvironment()];
  const rows: Row[] = [];
  for (const model of options.models) rows.push(...(await measureModel(model, options)));
  const { batch, rounds, threads, note, results } = options;
  const record: BackbonesRecord = {
    format: 'hyperarc-bench-backbones-1',
    run,
    batch,
    rounds,
    threads,
    ...(note !== undefined && { note }),
    environment,
    rows,
  };
  mkdirSync(results, { recursive: true });
  appendFileSync(join(results, 'backbones.jsonl'), `${JSON.stringify(record)}\n`);
  return [
    `A training step at B = ${batch}, 112×112, ${rounds} rounds in turns, ${record.environment.cpu}, ${threads} threads${note === undefined ? '' : `; ${note}`}:`,
    '',
    '| | | img/s | median ms | best ms | CPU ms | peak MB | time over ours (CPU) |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...rows.map(line),
  ].join('\n');
}
