import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, release, totalmem } from 'node:os';

/** Where a record was taken. Programs add their own versions to their record. */
export interface BenchEnvironment {
  cpu: string;
  cores: number;
  memoryBytes: number;
  kernel: string;
  node: string;
  commit: string | null;
  /** True if tracked files differed from the commit. */
  dirty: boolean | null;
}

function git(...args: string[]): string | null {
  try {
    return execFileSync('git', ['-C', import.meta.dirname, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}

export function benchEnvironment(): BenchEnvironment {
  const status = git('status', '--porcelain', '--untracked-files=no');
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: `${process.platform} ${release()}`,
    node: process.versions.node,
    // A bundle (scripts/bundle) has no repository, and says what it was made from.
    commit: process.env['HYPERARC_COMMIT'] ?? git('rev-parse', 'HEAD'),
    dirty: status === null ? null : status !== '',
  };
}
