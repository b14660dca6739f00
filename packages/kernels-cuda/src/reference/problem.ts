import type { MarginRule } from '../margin.js';
import { row, unit } from './vectors.js';

/** The margin of one sample (docs/numerics.md, "Target logit" and "Negatives"). The reference does not check its ranges. */
export type ReferenceRule = MarginRule;

/** A range of the class centres, W [C, K, D]; the range that owns everything has firstClass 0. */
export interface ReferenceCenters {
  readonly classes: number;
  readonly subCenters: number;
  readonly dim: number;
  /** Global index of the first class; labels are global. */
  readonly firstClass: number;
  /** [C, K, D] */
  readonly weights: ArrayLike<number>;
  /** What the products of the negatives are made of (docs/numerics.md, "bf16"); 'exact' by default. */
  readonly operands?: 'exact' | 'bf16' | undefined;
}

/** One micro-batch. */
export interface ReferenceBatch {
  /** [B, D] */
  readonly embeddings: ArrayLike<number>;
  /** [B], global class indices */
  readonly labels: ArrayLike<number>;
  readonly rule: ReferenceRule;
  /** [B, 4]: (s, m1, m2, m3) of each sample, in place of the rule's four numbers. */
  readonly rowParameters?: ArrayLike<number> | undefined;
}

/** Per shard: local class indices that take part in the softmax; undefined for all. */
export type Participants = readonly (ArrayLike<number> | undefined)[];

/** The rule of sample i, with its own parameters where the batch has them. */
export function ruleOf(batch: ReferenceBatch, i: number): ReferenceRule {
  const p = batch.rowParameters;
  if (!p) return batch.rule;
  return { ...batch.rule, scale: p[4 * i], m1: p[4 * i + 1], m2: p[4 * i + 2], m3: p[4 * i + 3] };
}

/** The unit embeddings x̂_i as B vectors. */
export function unitEmbeddings(batch: ReferenceBatch, dim: number): Float64Array[] {
  return Array.from({ length: batch.labels.length }, (_, i) => unit(row(batch.embeddings, i, dim)));
}

/** The unit centres ŵ_jk as C lists of K vectors. */
export function unitCenters(centers: ReferenceCenters): Float64Array[][] {
  const { classes, subCenters, dim, weights } = centers;
  return Array.from({ length: classes }, (_, j) =>
    Array.from({ length: subCenters }, (_, k) => unit(row(weights, j * subCenters + k, dim))),
  );
}

/** Local index of a global label in `centers`, or −1 where another shard owns it. */
export function localLabel(centers: ReferenceCenters, label: number): number {
  const local = label - centers.firstClass;
  return local >= 0 && local < centers.classes ? local : -1;
}
