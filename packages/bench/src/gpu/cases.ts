import type { Kernels, Precision } from '@hyperarc/kernels-cuda';

/** What a case's child process runs: our head, or one of peers/gpu_head.py's. */
export type GpuProgram = 'head' | 'arcface-torch' | 'chunked' | 'chunked-compiled' | 'triton-cce' | 'cut-cross-entropy';

/** Shape and setting of a case; docs/notation.md has the letters. */
export interface GpuAxes {
  B: number;
  C: number;
  D: number;
  /** Partial FC: share of the classes used in a step. */
  rate: number;
  precision: Precision;
  /** Kernel family of our head. */
  kernels: Kernels;
}

export interface GpuCase {
  name: string;
  program: GpuProgram;
  axes: GpuAxes;
  /** Cases of one group take turns, all children being alive, so that what disturbs the machine disturbs all alike. */
  group: string;
  warmup: number;
  /** Turns, and iterations in each. */
  rounds: number;
  iterations: number;
  /** Compare sampled rows of the first update with float64. */
  checksRows: boolean;
}

const BASE: GpuAxes = { B: 1024, C: 1_000_000, D: 512, rate: 1, precision: 'bf16', kernels: 'auto' };

interface Draft extends Partial<Omit<GpuCase, 'axes'>> {
  name: string;
  axes?: Partial<GpuAxes>;
}

function make({ name, axes, ...more }: Draft): GpuCase {
  const common = { program: 'head', group: name, warmup: 4, rounds: 1, iterations: 20, checksRows: false } as const;
  return { ...common, ...more, name, axes: { ...BASE, ...axes } };
}

const takingTurns = { group: 'speed', rounds: 5, iterations: 4 } as const;

const FULL: readonly GpuCase[] = [
  // One step of a million classes beside what the field uses, on the same GPU in the same run.
  make({ name: 'full-1m', ...takingTurns }),
  make({ name: 'arcface-torch-1m', program: 'arcface-torch', ...takingTurns }),
  make({ name: 'chunked-1m', program: 'chunked', ...takingTurns }),
  make({ name: 'chunked-compiled-1m', program: 'chunked-compiled', ...takingTurns }),
  make({ name: 'triton-cce-1m', program: 'triton-cce', ...takingTurns }),
  make({ name: 'cut-cross-entropy-1m', program: 'cut-cross-entropy', ...takingTurns }),
  make({ name: 'full-1m-bf16-master', rounds: 3, iterations: 5, axes: { precision: 'bf16-master' } }),
  make({ name: 'small-batch-1m', axes: { B: 128 } }),
  make({ name: 'full-10m', axes: { C: 10_000_000 }, warmup: 2, iterations: 8 }),
  make({ name: 'partial-10m', axes: { C: 10_000_000, rate: 0.1 } }),
  // Capacity: a step that completes, checked on sampled rows.
  make({ name: 'capacity-20m', axes: { C: 20_000_000 }, warmup: 0, iterations: 3, checksRows: true }),
  make({
    name: 'capacity-40m',
    axes: { C: 40_000_000, precision: 'bf16-master' },
    warmup: 0,
    iterations: 3,
    checksRows: true,
  }),
];

/** The same cases at sizes that only prove that the harness works. */
const QUICK: readonly GpuCase[] = FULL.map((entry) => ({
  ...entry,
  axes: { ...entry.axes, B: entry.axes.B / 64, C: entry.axes.C / 1000, D: 32 },
  warmup: Math.min(1, entry.warmup),
  rounds: Math.min(2, entry.rounds),
  iterations: 2,
}));

export const listGpuCases = (quick: boolean): readonly GpuCase[] => (quick ? QUICK : FULL);

/** Our head once with each family of kernels; the peers as they are. */
export const withFamilies = (cases: readonly GpuCase[], families: readonly Kernels[]): GpuCase[] =>
  cases.flatMap((entry) =>
    entry.program === 'head' ? families.map((kernels) => ({ ...entry, axes: { ...entry.axes, kernels } })) : [entry],
  );
