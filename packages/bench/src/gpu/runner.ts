import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { CaseProcess, pythonCommand } from '../child.js';
import type { BenchEnvironment } from '../environment.js';
import { summarize } from '../measure.js';
import type { Ready } from '../protocol.js';
import type { GpuCase } from './cases.js';
import type { Rates } from './counts.js';
import type { GpuDone, GpuSamples, GpuSpec } from './protocol.js';
import type { GpuRecord } from './records.js';

export interface GpuRunOptions {
  /** ISO 8601; names the run. */
  run: string;
  quick: boolean;
  device: string;
  rates: Rates | undefined;
  environment: BenchEnvironment;
  log: (line: string) => void;
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

/**
 * Runs the cases of one group. Each child is started and warmed up before the next one starts, so that the memory it sees being taken is its own; then they
 * take turns. A child that dies is a record that says so, and the others go on: out of memory is an answer, too.
 */
export async function runGpuGroup(group: readonly GpuCase[], options: GpuRunOptions): Promise<GpuRecord[]> {
  const records: GpuRecord[] = [];
  let active: Active[] = [];
  const children: Child[] = [];
  const skip = (entry: GpuCase, reason: string) => {
    options.log(`SKIPPED ${entry.name}: ${reason}`);
    records.push({ ...baseRecord(entry, options), skipped: reason });
  };
  /** What `work` answers; a child that failed is put among the records instead. */
  const attempt = async <T>(entry: GpuCase, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      skip(entry, `failed: ${(error as Error).message}`);
      active = active.filter((other) => other.entry !== entry);
      return undefined;
    }
  };
  try {
    for (const entry of group) {
      const { program, axes, checksRows, warmup } = entry;
      const spec: GpuSpec = { program, axes, device: options.device, checksRows };
      const child: Child = new CaseProcess(commandOf(entry), spec);
      children.push(child);
      await attempt(entry, async () => {
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
        const samples = await attempt(entry, () => child.measure(entry.iterations));
        deviceMs.push(...(samples?.deviceMs ?? []));
        wallMs.push(...(samples?.wallMs ?? []));
      }
    }
    for (const { entry, child, ready, deviceMs, wallMs } of [...active]) {
      const done = await attempt(entry, () => child.finish());
      if (done === undefined) continue;
      const record: GpuRecord = {
        ...baseRecord(entry, options),
        facts: { ...ready.facts, ...done.facts },
        deviceMs: summarize(deviceMs),
        wallMs: summarize(wallMs),
        copyBytes: done.copyBytes,
        ...(done.extraBytes !== undefined && { extraBytes: done.extraBytes }),
      };
      options.log(`${entry.name}: ${record.deviceMs!.p50.toPrecision(3)} ms`);
      records.push(record);
    }
  } finally {
    for (const child of children) child.kill();
  }
  const position = (record: GpuRecord) => group.findIndex((entry) => entry.name === record.case);
  return records.sort((a, b) => position(a) - position(b));
}
