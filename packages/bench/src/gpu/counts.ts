import type { Precision } from '@hyperarc/kernels-cuda';

import type { GpuAxes } from './cases.js';

/** Bytes of one element: W as the passes read it, the master and the momentum as they are kept. */
interface ElementBytes {
  operand: number;
  master: number;
  momentum: number;
  /** Whether the operand is a copy beside the master, which the update writes too. */
  hasCopy: boolean;
}

const ELEMENT: Readonly<Record<Precision, ElementBytes>> = {
  fp32: { operand: 4, master: 4, momentum: 4, hasCopy: false },
  bf16: { operand: 2, master: 4, momentum: 4, hasCopy: true },
  'bf16-master': { operand: 2, master: 2, momentum: 2, hasCopy: false },
};

/** What one pass must at least do. */
export interface Work {
  flops: number;
  bytes: number;
}

/**
 * The least work of the two passes of a step over the n = rate·C classes that take part; each byte counts once a pass, whatever caches and
 * copies an implementation has.
 *
 * Pass 1 multiplies twice (cosines, Σ e·ŵ: 4·B·n·D operations) and reads the rows. Pass 2 multiplies twice (cosines again, dW), and reads and writes the
 * rows with their momentum: 22 bytes an element in both passes together for an fp32 master with bf16 operands, 10 for a bf16 master.
 */
export function stepWork({ B, C, D, rate, precision }: GpuAxes): { pass1: Work; pass2: Work } {
  const { operand, master, momentum, hasCopy } = ELEMENT[precision];
  const elements = Math.round(rate * C) * D;
  const flops = 4 * B * elements;
  const samples = 4 * B * D;
  const read = hasCopy ? operand + master + momentum : master + momentum;
  const written = (hasCopy ? operand : 0) + master + momentum;
  return {
    pass1: { flops, bytes: elements * operand + 2 * samples },
    pass2: { flops, bytes: elements * (read + written) + samples },
  };
}

export const stepFlops = (axes: GpuAxes): number => {
  const { pass1, pass2 } = stepWork(axes);
  return pass1.flops + pass2.flops;
};

export const stepBytes = (axes: GpuAxes): number => {
  const { pass1, pass2 } = stepWork(axes);
  return pass1.bytes + pass2.bytes;
};

/** Bytes that stay: weights and momentum [C, D], and the copy of the weights that the passes read. */
export function keptBytes({ C, D, precision }: GpuAxes): { weightsAndMomentum: number; copy: number } {
  const { operand, master, momentum, hasCopy } = ELEMENT[precision];
  return { weightsAndMomentum: C * D * (master + momentum), copy: hasCopy ? C * D * operand : 0 };
}

/** What this GPU was seen to do in this run. */
export interface Rates {
  /** bf16 matrix product, operations a second. */
  gemmFlops: number;
  /** Device-to-device copy, bytes read and written a second. */
  copyBytes: number;
}

/** The least time of a step at those rates: in each pass the longer of arithmetic and traffic, as if they overlapped wholly. */
export function rooflineMs(axes: GpuAxes, { gemmFlops, copyBytes }: Rates): number {
  const { pass1, pass2 } = stepWork(axes);
  const time = ({ flops, bytes }: Work) => 1e3 * Math.max(flops / gemmFlops, bytes / copyBytes);
  return time(pass1) + time(pass2);
}
