/** The program a case's child process runs: ours, or a peer on the same shapes. */
export type ProgramName = 'engine' | 'tfjs-naive' | 'pytorch' | 'sgemm' | 'calls';

/** Calls of program 'calls': `step` is forward and update, `margin-logits` the pure-tfjs head's. */
export type CallName = 'forward' | 'step' | 'logits' | 'sample' | 'margin-logits';

/** Margins of the cases `heads-*`, by their names in docs/heads; programs/head-margins.ts has their numbers. */
export const HEADS = [
  'arcface',
  'normface',
  'cosface',
  'combined',
  'magface',
  'adaface',
  'curricularface',
  'mv-softmax',
  'inter-class-filter',
  'circle',
] as const;
/** 'circle-256' is Circle loss at its published γ; 'circle' has the scale of the others, so that it shows what the rule costs. */
export type HeadName = (typeof HEADS)[number] | 'circle-256';

/** Shape and setting of a case; docs/notation.md has the letters. */
export interface Axes {
  B: number;
  C: number;
  D: number;
  K: number;
  /** Partial FC: share of the classes used in a step. */
  rate: number;
  precision: 'fp32' | 'bf16' | 'bf16-master';
  /** 'cpu' or 'cuda:N'; peers always run on the CPU. */
  device: string;
  /** 'auto' is the best the processor has. */
  instructionSet: 'auto' | 'portable' | 'avx2' | 'avx512';
  /** Kernel family of the CUDA engine; 'auto' by default. */
  kernels?: 'auto' | 'plain' | 'mma' | 'wgmma';
  /** tfjs backend of the naive head. */
  backend?: 'tensorflow' | 'wasm';
  /** Of program 'calls'. */
  call?: CallName;
  /** Margin of the program 'engine'; ArcFace as the peers compute it by default. */
  head?: HeadName;
}

export interface Case {
  name: string;
  program: ProgramName;
  axes: Axes;
  /** Cases of one group run at the same time of day: their children stay alive and take turns, A B A B. */
  group: string;
  warmup: number;
  /** Turns, and iterations in each. */
  rounds: number;
  iterations: number;
  /** Name of the case of this group that its rounds are divided by. */
  ratioTo?: string;
}

const BASE: Axes = {
  B: 128,
  C: 100_000,
  D: 512,
  K: 1,
  rate: 1,
  precision: 'fp32',
  device: 'cpu',
  instructionSet: 'auto',
};

interface Draft extends Partial<Omit<Case, 'axes'>> {
  name: string;
  axes?: Partial<Axes>;
}

function make({ name, axes, ...more }: Draft): Case {
  const complete = { program: 'engine', group: name, warmup: 2, rounds: 1, iterations: 9, ...more } as const;
  return { ...complete, name, axes: { ...BASE, ...axes } };
}

/** A step of each head, in one group, and its ratio to ArcFace's. */
function headCases(group: string, axes: Partial<Axes>, turns: Pick<Case, 'rounds' | 'iterations'>): Case[] {
  const ratioTo = `${group}-arcface`;
  return HEADS.map((head) => make({ name: `${group}-${head}`, group, axes: { ...axes, head }, ...turns, ratioTo }));
}

/** What `run` measures; the comment says what each answers. */
const FULL: readonly Case[] = [
  // Speed against PyTorch and against the processor's own matrix multiplication, taking turns.
  make({ name: 'head-c1e5', group: 'speed', rounds: 5, iterations: 3 }),
  make({ name: 'pytorch-c1e5', program: 'pytorch', group: 'speed', rounds: 5, iterations: 2 }),
  make({ name: 'sgemm-c1e5', program: 'sgemm', group: 'speed', rounds: 5, iterations: 2 }),
  // Cost linear in C; and at C = 1e6 the memory beyond weights and momentum.
  make({ name: 'head-c1e4', axes: { C: 10_000 }, iterations: 30 }),
  make({ name: 'head-c1e6', axes: { C: 1_000_000 }, warmup: 1, iterations: 5 }),
  // Partial FC and sub-centres.
  make({ name: 'head-c1e5-r0.1', axes: { rate: 0.1 }, iterations: 20 }),
  make({ name: 'head-c1e5-k3', axes: { K: 3 }, iterations: 5 }),
  // Instruction sets, at a size where the portable one is bearable.
  make({
    name: 'head-c1e4-avx512',
    group: 'isa',
    axes: { C: 10_000, instructionSet: 'avx512' },
    rounds: 3,
    iterations: 5,
  }),
  make({ name: 'head-c1e4-avx2', group: 'isa', axes: { C: 10_000, instructionSet: 'avx2' }, rounds: 3, iterations: 5 }),
  make({
    name: 'head-c1e4-portable',
    group: 'isa',
    axes: { C: 10_000, instructionSet: 'portable' },
    rounds: 3,
    iterations: 1,
  }),
  // A plain tfjs head that materialises the logits.
  make({ name: 'tfjs-naive-c1e4-tensorflow', program: 'tfjs-naive', axes: { C: 10_000, backend: 'tensorflow' } }),
  make({ name: 'tfjs-naive-c1e4-wasm', program: 'tfjs-naive', axes: { C: 10_000, backend: 'wasm' }, iterations: 5 }),
  make({ name: 'tfjs-naive-c1e5-tensorflow', program: 'tfjs-naive', axes: { backend: 'tensorflow' }, iterations: 3 }),
  // What a head costs beside ArcFace, many short turns: the ratio is of what ran within a few seconds.
  ...headCases('heads-c1e4', { C: 10_000 }, { rounds: 25, iterations: 3 }),
  // A scale at which pass 1 is repeated for sums too small for fp32 (docs/numerics.md).
  make({
    name: 'heads-c1e4-circle-256',
    group: 'heads-c1e4',
    axes: { C: 10_000, head: 'circle-256' },
    warmup: 1,
    rounds: 3,
    iterations: 1,
    ratioTo: 'heads-c1e4-arcface',
  }),
  ...headCases('heads-c1e5', {}, { rounds: 15, iterations: 1 }),
  // Short synchronous calls: what one call costs at small sizes, where binding and bookkeeping count. Iterations are tenths of a second.
  ...(['forward', 'step', 'logits', 'sample', 'margin-logits'] as const).map((call) =>
    make({ name: `call-${call}`, program: 'calls', axes: { B: 32, C: 1000, D: 128, call }, warmup: 0, iterations: 10 }),
  ),
];

/** The same cases at sizes that only prove that the harness works. */
const QUICK: readonly Case[] = FULL.map((entry) => ({
  ...entry,
  axes: { ...entry.axes, B: 8, C: 512, D: 32 },
  warmup: Math.min(1, entry.warmup),
  rounds: Math.min(2, entry.rounds),
  iterations: 2,
}));

export const listCases = (quick: boolean): readonly Case[] => (quick ? QUICK : FULL);

/**
 * Floating-point operations of one head step: the four matrix products over all classes that take part (logits and Σ q·ŵ in pass 1, logits again and dW
 * in pass 2), 2·B·C·D each. K sub-centres multiply the two that make logits; the winners alone feed the other two.
 */
export function headFlops({ B, C, D, K, rate }: Axes): number {
  return (2 * K + 2) * 2 * B * C * rate * D;
}

/** Weights and momentum, [C, K, D] fp32 each. */
export const persistentBytes = ({ C, K, D }: Axes): number => 2 * 4 * C * K * D;

/** What a step may take beyond weights and momentum: 64 MB, and 16 copies of the batch's embeddings for what is O(B·D). */
export const extraLimitBytes = ({ B, D }: Axes): number => 64e6 + 16 * 4 * B * D;
