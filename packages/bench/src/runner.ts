import type { Case } from './cases.js';
import { extraLimitBytes, headFlops, persistentBytes } from './cases.js';
import { CaseProcess, programCommand } from './child.js';
import type { BenchEnvironment } from './environment.js';
import { percentile, summarize, type Timing } from './measure.js';
import type { ProgramSpec, Ready } from './protocol.js';
import type { CaseRecord, Ratio } from './records.js';

export interface RunOptions {
  /** ISO 8601; names the run. */
  run: string;
  quick: boolean;
  threads: number;
  environment: BenchEnvironment;
  log: (line: string) => void;
}

interface Active {
  entry: Case;
  child: CaseProcess;
  ready: Ready;
  /** By round. */
  elapsedMs: number[][];
  cpuMs: number[][];
}

function baseRecord(entry: Case, options: RunOptions): CaseRecord {
  const { run, quick, threads, environment } = options;
  const { name, program, axes } = entry;
  return { format: 'hyperarc-bench-1', run, quick, case: name, program, axes, threads, facts: {}, environment };
}

/** Cases by group, in the order of the first of each. */
export function groupCases(cases: readonly Case[]): Case[][] {
  const groups = new Map<string, Case[]>();
  for (const entry of cases) groups.set(entry.group, [...(groups.get(entry.group) ?? []), entry]);
  return [...groups.values()];
}

/**
 * Runs the cases of one group. Their children are all alive at once; after the warm-up they take turns, so that what disturbs the machine disturbs
 * all alike. A case that fails ends the run: a benchmark that computes nonsense must not leave figures.
 */
export async function runGroup(group: readonly Case[], options: RunOptions): Promise<CaseRecord[]> {
  const { log } = options;
  const records: CaseRecord[] = [];
  const active: Active[] = [];
  const children: CaseProcess[] = [];
  try {
    for (const entry of group) {
      const { program, axes } = entry;
      const spec: ProgramSpec = { program, axes, threads: options.threads, quick: options.quick };
      const child = new CaseProcess(programCommand(program), spec);
      children.push(child);
      const answer = await child.start();
      if (answer.kind === 'skip') {
        log(`SKIPPED ${entry.name}: ${answer.reason}`);
        records.push({ ...baseRecord(entry, options), skipped: answer.reason });
        continue;
      }
      if (entry.warmup > 0) await child.measure(entry.warmup);
      active.push({ entry, child, ready: answer, elapsedMs: [], cpuMs: [] });
    }
    const rounds = Math.max(0, ...active.map(({ entry }) => entry.rounds));
    for (let round = 0; round < rounds; round++) {
      for (const { entry, child, elapsedMs, cpuMs } of active) {
        if (round >= entry.rounds) continue;
        const samples = await child.measure(entry.iterations);
        elapsedMs.push(samples.elapsedMs);
        cpuMs.push(samples.cpuMs);
      }
    }
    for (const each of active) records.push(await finishCase(each, active, options));
  } finally {
    for (const child of children) child.kill();
  }
  const position = (record: CaseRecord) => group.findIndex((entry) => entry.name === record.case);
  return records.sort((a, b) => position(a) - position(b));
}

/** Ratios of the medians of two cases' rounds. */
function ratios(roundsOfOne: readonly number[][], roundsOfOther: readonly number[][]): Timing {
  const median = (values: readonly number[]) =>
    percentile(
      [...values].sort((a, b) => a - b),
      0.5,
    );
  return summarize(roundsOfOne.map((values, round) => median(values) / median(roundsOfOther[round]!)));
}

function ratioOf({ entry, elapsedMs, cpuMs }: Active, active: readonly Active[]): Ratio | undefined {
  const other = active.find(({ entry: { name } }) => name === entry.ratioTo);
  if (other === undefined) return undefined;
  return { to: entry.ratioTo!, elapsed: ratios(elapsedMs, other.elapsedMs), cpu: ratios(cpuMs, other.cpuMs) };
}

async function finishCase(finished: Active, active: readonly Active[], options: RunOptions): Promise<CaseRecord> {
  const { entry, child, ready } = finished;
  const [elapsedMs, cpuMs] = [finished.elapsedMs.flat(), finished.cpuMs.flat()];
  const { peakBytes, facts } = await child.finish();
  const { program, axes, name } = entry;
  const timing = summarize(elapsedMs);
  const ratio = ratioOf(finished, active);
  const flops = ready.flops ?? (program === 'calls' ? undefined : headFlops(axes));
  const record: CaseRecord = {
    ...baseRecord(entry, options),
    facts: { ...ready.facts, ...facts },
    iterations: elapsedMs.length,
    elapsedMs: timing,
    peakBytes,
    ...(cpuMs.length > 0 && { cpuMs: summarize(cpuMs) }),
    ...(flops !== undefined && { gflops: flops / timing.p50 / 1e6 }),
    ...(facts?.['takenBytes'] !== undefined && { extraBytes: Number(facts['takenBytes']) - persistentBytes(axes) }),
    ...(ratio && { ratio }),
  };
  const rate = record.gflops === undefined ? '' : `, ${record.gflops.toFixed(0)} GFLOP/s`;
  const extra =
    record.extraBytes === undefined
      ? ''
      : `, ${(record.extraBytes / 1e6).toFixed(1)} MB beyond weights and momentum (limit ${(extraLimitBytes(axes) / 1e6).toFixed(1)})`;
  options.log(
    `${name}: ${formatMs(timing.p50)} (p10 ${formatMs(timing.p10)}, p90 ${formatMs(timing.p90)})${rate}${extra}`,
  );
  return record;
}

/** Milliseconds with three significant digits. */
export function formatMs(ms: number): string {
  return `${ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)} ms`;
}
