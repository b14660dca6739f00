import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Order statistics of repeated timings. */
export interface Timing {
  p10: number;
  p50: number;
  p90: number;
  min: number;
  mean: number;
}

/** Percentile with straight lines between order statistics (NumPy's default). `sorted` ascending, not empty; 0 ≤ share ≤ 1. */
export function percentile(sorted: readonly number[], share: number): number {
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (position - below) * (sorted[above]! - sorted[below]!);
}

export function summarize(values: readonly number[]): Timing {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    p10: percentile(sorted, 0.1),
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    min: sorted[0]!,
    mean: sorted.reduce((a, b) => a + b, 0) / sorted.length,
  };
}

/** Wall and processor time (all threads) of one call, in milliseconds. */
export interface Sample {
  elapsedMs: number;
  cpuMs: number;
}

export async function timeOnce(work: () => void | Promise<void>): Promise<Sample> {
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  await work();
  const elapsedMs = Number(process.hrtime.bigint() - start) / 1e6;
  const used = process.cpuUsage(cpu);
  return { elapsedMs, cpuMs: (used.user + used.system) / 1e3 };
}

/** A field of /proc/self/status in bytes. VmHWM: the most that ever was resident; RssAnon: resident now, less what is a file's. */
export function processBytes(field: 'VmHWM' | 'RssAnon'): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(match![1]) * 1024;
}

/**
 * Watches how much memory of its own a process takes from here on: the largest RssAnon seen less that at the start. Pages of files (the
 * programs' own code) do not count, since the kernel drops them as it likes, and garbage is collected first: both would hide
 * as much of what is taken later.
 */
export class MemoryWatch {
  private most = 0;

  private constructor(private readonly start: number) {}

  static async begin(): Promise<MemoryWatch> {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    // V8 returns pages in the background: until the figure stands still.
    let start = Infinity;
    for (let now = processBytes('RssAnon'); now < start; now = processBytes('RssAnon')) {
      start = now;
      collect();
      await setTimeout(200);
    }
    return new MemoryWatch(start);
  }

  /** To be called while everything is held that should count. */
  look(): void {
    this.most = Math.max(this.most, processBytes('RssAnon') - this.start);
  }

  get takenBytes(): number {
    return this.most;
  }
}
