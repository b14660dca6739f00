import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { CaseProcess, pythonCommand } from '../child.js';
import type { BenchEnvironment } from '../environment.js';
import { summarize } from '../measure.js';
import type { Ready } from '../protocol.js';
import type { GpuCase } from './cases.js';
import type { Rates } from './counts.js';
import type { GpuDone, GpuSamples, GpuSpec } from './protocol.js';
import { caseName, NO_TIME, type GpuRecord } from './records.js';

export interface GpuRunOptions {
  /** ISO 8601; names the run. */
  run: string;
  quick: boolean;
  device: string;
  rates: Rates | undefined;
  environment: BenchEnvironment;
  log: (line: string) => void;
  /** performance.now() after which nothing is measured any more. */
  deadline: number;
  /** Seconds that our head may take to answer; a peer, which may compile and tune, four times that. */
  patience: number;
  /** Programs (with their kernels) that gave no answer in this run: they would take the time of all others. */
  hung: Set<string>;
}

type Child = CaseProcess<GpuSamples, GpuDone>;

interface Active {
  entry: GpuCase;
  child: Child;
  ready: Ready;
  deviceMs: number[];
  wallMs: number[];
}

/** Folder of the peers: beside the folder of a bundle's programs, or beside the package's dist. */
export function peersFolder(): string {
  const places = ['..', join('..', '..')].map((up) => join(import.meta.dirname, up, 'peers'));
  const found = places.find((place) => existsSync(join(place, 'gpu_head.py')));
  if (found === undefined) throw new Error(`peers: expected gpu_head.py in ${places.join(' or ')}`);
  return found;
}

function commandOf({ program }: GpuCase): string[] {
  // This very program runs our head in a child of its own.
  if (program === 'head') return [process.execPath, process.argv[1]!, 'child'];
  return [pythonCommand(), join(peersFolder(), 'gpu_head.py')];
}

function baseRecord({ name, program, axes }: GpuCase, options: GpuRunOptions): GpuRecord {
  const { run, quick, device, environment, rates } = options;
  const format = 'hyperarc-gpu-bench-1';
  return { format, run, quick, case: name, program, axes, device, facts: {}, environment, ...(rates && { rates }) };
}

const programName = ({ program, axes }: GpuCase): string => caseName(program, axes, program);

/** What `work` with a child answers, which is ended when no answer comes. */
async function within<T>(entry: GpuCase, child: Child, options: GpuRunOptions, work: () => Promise<T>): Promise<T> {
  const patience = 1e3 * options.patience * (entry.program === 'head' ? 1 : 4);
  const left = Math.max(0, options.deadline - performance.now());
  let wasSilent = false;
  const timer = setTimeout(
    () => {
      wasSilent = true;
      child.kill('SIGKILL');
    },
    Math.min(patience, left, 2 ** 31 - 1),
  );
  try {
    return await work();
  } catch (error) {
    if (!wasSilent) throw error;
    if (left <= patience) throw new OutOfTime();
    options.hung.add(programName(entry));
    throw new Error(`expected an answer within ${patience / 1e3} s, received none; the program was ended`);
  } finally {
    clearTimeout(timer);
  }
}

class OutOfTime extends Error {
  constructor() {
    super(NO_TIME);
  }
}

/**
 * Runs the cases of one group. Each child is started and warmed up before the next one starts, so that the memory it sees being taken is its own; then they
 * take turns. A child that dies is a record that says so, and the others go on: out of memory is an answer, too.
 */
export async function runGpuGroup(group: readonly GpuCase[], options: GpuRunOptions): Promise<GpuRecord[]> {
  const records: GpuRecord[] = [];
  let active: Active[] = [];
  const children: Child[] = [];
  const skip = (entry: GpuCase, reason: string) => {
    options.log(`SKIPPED ${caseName(entry.name, entry.axes, entry.program)}: ${reason}`);
    records.push({ ...baseRecord(entry, options), skipped: reason });
  };
  /** What `work` answers; a child that failed is put among the records instead. */
  const attempt = async <T>(entry: GpuCase, child: Child, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await within(entry, child, options, work);
    } catch (error) {
      const { message } = error as Error;
      skip(entry, error instanceof OutOfTime ? message : `failed: ${message}`);
      active = active.filter((other) => other.entry !== entry);
      return undefined;
    }
  };
  try {
    for (const entry of group) {
      const { program, axes, checksRows, warmup } = entry;
      if (performance.now() > options.deadline) {
        skip(entry, NO_TIME);
        continue;
      }
      if (options.hung.has(programName(entry))) {
        skip(entry, 'it gave no answer in an earlier case');
        continue;
      }
      const spec: GpuSpec = { program, axes, device: options.device, checksRows };
      const child: Child = new CaseProcess(commandOf(entry), spec);
      children.push(child);
      await attempt(entry, child, async () => {
        const answer = await child.start();
        if (answer.kind === 'skip') return skip(entry, answer.reason);
        if (warmup > 0) await child.measure(warmup);
        active.push({ entry, child, ready: answer, deviceMs: [], wallMs: [] });
      });
    }
    const rounds = Math.max(0, ...active.map(({ entry }) => entry.rounds));
    for (let round = 0; round < rounds; round++) {
      for (const { entry, child, deviceMs, wallMs } of [...active]) {
        if (round >= entry.rounds) continue;
        const samples = await attempt(entry, child, () => child.measure(entry.iterations));
        deviceMs.push(...(samples?.deviceMs ?? []));
        wallMs.push(...(samples?.wallMs ?? []));
      }
    }
    for (const { entry, child, ready, deviceMs, wallMs } of [...active]) {
      const done = await attempt(entry, child, () => child.finish());
      if (done === undefined) continue;
      const record: GpuRecord = {
        ...baseRecord(entry, options),
        facts: { ...ready.facts, ...done.facts },
        deviceMs: summarize(deviceMs),
        wallMs: summarize(wallMs),
        copyBytes: done.copyBytes,
        ...(done.extraBytes !== undefined && { extraBytes: done.extraBytes }),
      };
      options.log(`${caseName(entry.name, entry.axes, entry.program)}: ${record.deviceMs!.p50.toPrecision(3)} ms`);
      records.push(record);
    }
  } finally {
    for (const child of children) child.kill();
  }
  const position = (record: GpuRecord) =>
    group.findIndex((entry) => entry.name === record.case && entry.axes.kernels === record.axes.kernels);
  return records.sort((a, b) => position(a) - position(b));
}
