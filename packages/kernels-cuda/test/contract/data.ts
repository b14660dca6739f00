import type { ReferenceRule } from '../../dist/reference/index.js';
import { CLIP_RADIANS, seedRows } from '../../dist/reference/index.js';
import type { ContractBatch, ContractCenters } from './implementation.js';

/** A rule whose numbers are exact in fp32, so that every implementation works on the same operands. */
export function fp32Rule(rule: ReferenceRule): ReferenceRule {
  const { scale, m1, m2, m3, blend = 1, clipRadians = CLIP_RADIANS } = rule;
  return {
    ...rule,
    scale: Math.fround(scale),
    m1: Math.fround(m1),
    m2: Math.fround(m2),
    m3: Math.fround(m3),
    blend: Math.fround(blend),
    clipRadians: Math.fround(clipRadians),
  };
}

/** ArcFace as published: s = 64, m = 0.5. */
export const ARCFACE = fp32Rule({ scale: 64, m1: 1, m2: 0.5, m3: 0, fallback: 'hard', gradient: 'exact' });

export interface Size {
  readonly batch: number;
  readonly classes: number;
  readonly dim: number;
  readonly subCenters?: number;
}

export interface Problem {
  readonly centers: ContractCenters;
  readonly batch: ContractBatch;
}

export function normals(seed: number, count: number): Float32Array {
  return seedRows(BigInt(seed), 1, 0, 1, count);
}

/**
 * A problem in which, of every four samples, one is a near match of its centre (θ ≈ 0.1), one stands almost opposite to it
 * (θ + m > π), and two are anywhere. Embeddings and centres have lengths from 0.05 to 5.
 */
export function problem(seed: number, size: Size, rule: ReferenceRule = ARCFACE): Problem {
  const { batch, classes, dim, subCenters = 1 } = size;
  const rows = classes * subCenters;
  const weights = normals(3 * seed, rows * dim).map((value, e) => value * [0.05, 1, 5][Math.floor(e / dim) % 3]);
  const momentum = normals(3 * seed + 1, rows * dim).map((value) => 0.1 * value);
  const noise = normals(3 * seed + 2, batch * dim);
  // Steps of 7 (or 1) through the classes: neighbours in the batch are not neighbours in memory, and classes repeat.
  const labels = Int32Array.from({ length: batch }, (_, i) => (i * 7 + seed) % classes);
  const embeddings = Float32Array.from(noise, (value, e) => {
    const i = Math.floor(e / dim);
    const d = e % dim;
    const row = labels[i] * subCenters + (i % subCenters);
    const centerLength = Math.hypot(...weights.subarray(row * dim, (row + 1) * dim));
    const center = centerLength > 0 ? (weights[row * dim + d] / centerLength) * Math.sqrt(dim) : 0;
    const plant = [0, 1, -1, 0][i % 4];
    return plant === 0 ? value * [0.05, 1][i % 2] : plant * 3 * center + 0.3 * value;
  });
  return {
    centers: { classes, subCenters, dim, firstClass: 0, globalClasses: classes, weights, momentum },
    batch: { embeddings, labels, rule },
  };
}

/** The shard of `centers` that owns classes [from, to). */
export function shardOf(centers: ContractCenters, from: number, to: number): ContractCenters {
  const rowLength = centers.subCenters * centers.dim;
  return {
    ...centers,
    classes: to - from,
    firstClass: from,
    weights: centers.weights.slice(from * rowLength, to * rowLength),
    momentum: centers.momentum.slice(from * rowLength, to * rowLength),
    secondMoment: centers.secondMoment?.slice(from * rowLength, to * rowLength),
  };
}

/** Samples [from, to) of a batch. */
export function partOf(batch: ContractBatch, dim: number, from: number, to: number): ContractBatch {
  return {
    ...batch,
    embeddings: batch.embeddings.slice(from * dim, to * dim),
    labels: batch.labels.slice(from, to),
    rowParameters: batch.rowParameters?.slice(4 * from, 4 * to),
  };
}
