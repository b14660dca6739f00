import {
  adaFace,
  arcFace,
  circleSoftmax,
  combinedMargin,
  cosFace,
  curricularFace,
  magFace,
  mvSoftmax,
  normFace,
  withInterClassFilter,
  type MarginSpec,
} from '@hyperarc/heads';
import type { MarginRule, NegativeRule } from '@hyperarc/kernels-cuda';

import type { HeadName } from '../cases.js';
import type { Batch } from '../inputs.js';

/** What a forward pass takes of a head. */
export interface BatchMargin {
  margin: MarginRule;
  /** [B, 4]: (s, m1, m2, m3) of each sample */
  rowParameters?: Float32Array;
}

/** CurricularFace in the middle of a training: its t starts from 0. */
const T = 0.3;
const CURRICULAR: NegativeRule = {
  threshold: 'target',
  above: { value: [0, T, 1], slope: [T, 2] },
  below: { value: [0, 1, 0], slope: [1, 0] },
};

const SPECS: Readonly<Record<HeadName, MarginSpec>> = {
  arcface: arcFace(),
  normface: normFace(),
  cosface: cosFace(),
  combined: combinedMargin(),
  magface: magFace(),
  adaface: adaFace(),
  curricularface: { ...curricularFace(), negatives: CURRICULAR },
  'mv-softmax': mvSoftmax(),
  'inter-class-filter': withInterClassFilter(arcFace()),
  circle: circleSoftmax({ scale: 64 }),
  'circle-256': circleSoftmax(),
};

const norms = ({ embeddingsBD, labelsB }: Batch, dim: number): number[] =>
  Array.from(labelsB, (_, i) => Math.hypot(...embeddingsBD.subarray(i * dim, (i + 1) * dim)));

/** (m2, m3) of each sample for the heads whose margin follows ‖x‖. */
const MARGINS_OF_NORMS: Readonly<Partial<Record<HeadName, (lengths: number[]) => [m2: number, m3: number][]>>> = {
  // 0.45 at ‖x‖ = 10 to 0.8 at 110.
  magface: (lengths) => lengths.map((a) => [0.45 + (0.35 / 100) * (Math.min(Math.max(a, 10), 110) - 10), 0]),
  // m = 0.4, h = 0.333, with the batch's own mean and deviation.
  adaface: (lengths) => {
    const mean = lengths.reduce((sum, a) => sum + a, 0) / lengths.length;
    const variance = lengths.reduce((sum, a) => sum + (a - mean) ** 2, 0) / Math.max(1, lengths.length - 1);
    const quality = (a: number) => Math.min(Math.max((0.333 * (a - mean)) / (Math.sqrt(variance) + 1e-3), -1), 1);
    return lengths.map((a) => [-0.4 * quality(a), 0.4 + 0.4 * quality(a)]);
  },
};

/** A head's margin for one batch. What follows ‖x‖ is computed here, once: a step measures the engine. */
export function headMargin(head: HeadName, batch: Batch, dim: number): BatchMargin {
  const margin = SPECS[head];
  const ofNorms = MARGINS_OF_NORMS[head];
  if (ofNorms === undefined) return { margin };
  const rows = ofNorms(norms(batch, dim)).flatMap(([m2, m3]) => [margin.scale, margin.m1, m2, m3]);
  return { margin, rowParameters: Float32Array.from(rows) };
}
