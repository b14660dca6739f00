import type { Precision } from '../../dist/index.js';
import type { ReferenceAdamW, ReferenceBatch, ReferenceSgd, SampleRequest } from '../../dist/reference/index.js';

/** Class centres as the contract makes them: every number is exact in fp32. */
export interface ContractCenters {
  readonly classes: number;
  readonly subCenters: number;
  readonly dim: number;
  readonly firstClass: number;
  readonly globalClasses: number;
  /** [C, K, D] */
  readonly weights: Float32Array;
  /** [C, K, D]; AdamW's first moment where there is a second. */
  readonly momentum: Float32Array;
  /** [C, K, D]: makes them centres of AdamW. */
  readonly secondMoment?: Float32Array | undefined;
  /** Of AdamW, so far; 0 by default. */
  readonly updates?: number;
  /** What the reference's products take; see precision.ts. */
  readonly operands?: 'bf16' | undefined;
}

/** SGD with the counter of a bf16 master's stochastic rounding. */
export interface ContractSgd extends ReferenceSgd {
  readonly roundingStep: bigint;
}

/** AdamW with the same counter. */
export interface ContractAdamW extends ReferenceAdamW {
  readonly roundingStep: bigint;
}

export type ContractUpdate = ContractSgd | ContractAdamW;

/** A micro-batch whose numbers are exact in fp32. `sampled` are the sorted local classes that take part; undefined for all. */
export interface ContractBatch extends ReferenceBatch {
  readonly embeddings: Float32Array;
  readonly labels: Int32Array;
  readonly rowParameters?: Float32Array | undefined;
  readonly sampled?: Int32Array | undefined;
}

/** What a forward pass gives, with the step that `gradients` and `update` take. */
export interface ForwardResult<Step> {
  readonly step: Step;
  /** [B] */
  readonly sampleLoss: ArrayLike<number>;
  /** [B, D], of the mean loss */
  readonly embeddingGradient: ArrayLike<number>;
  /** [B] */
  readonly targetCosine: ArrayLike<number>;
  /** [B, 4], of the mean loss with respect to each sample's (s, m1, m2, m3) */
  readonly rowGradient?: ArrayLike<number> | undefined;
}

/** Centres inside an implementation. */
export interface Subject<Step = unknown> {
  forward(batch: ContractBatch): ForwardResult<Step>;
  /** dW [C, K, D] */
  gradients(steps: readonly Step[]): ArrayLike<number>;
  update?(steps: readonly Step[], options: ContractUpdate): void;
  weights(): ArrayLike<number>;
  momentum?(): ArrayLike<number>;
  secondMoment?(): ArrayLike<number>;
  /** AdamW's number of updates. */
  updates?(): number;
  cosines?(embeddings: Float32Array): ArrayLike<number>;
  sample?(request: Omit<SampleRequest, 'classes' | 'firstClass'>): ArrayLike<number>;
  seed?(seed: bigint, stddev: number): void;
  dispose(): void;
}

/** What the contract suite runs on. A method that an implementation lacks leaves out the cases that need it. */
export interface Implementation<Step = unknown> {
  readonly name: string;
  /** Most sub-centres it takes. */
  readonly maxSubCenters: number;
  /** How it stores centres; 'fp32' by default. */
  readonly precision?: Precision;
  /** Most products (B·C·K·D) that a case may take, where it is slow; any number by default. */
  readonly maxProducts?: number;
  readonly hasRowParameters: boolean;
  /** Every margin family, blend and clipRadians; false by default. */
  readonly hasFamilies?: boolean;
  /** Negative rules; false by default. */
  readonly hasNegativeRules?: boolean;
  /** Whether forward gives `rowGradient`; false by default. */
  readonly hasRowGradient?: boolean;
  /** Whether the row gradient's first column is the true one under a negative rule, where the contract has NaN; false by default. */
  readonly differentiatesScale?: boolean;
  readonly hasUpdate: boolean;
  /** Whether it takes centres of AdamW; false by default. */
  readonly hasAdamW?: boolean;
  readonly hasSampling: boolean;
  /** Whether one update takes steps that drew different classes, or have different negative rules; true by default. */
  readonly mixesSamples?: boolean;
  /** Whether it rounds terms in the same way however few there are, and may pass the tolerances where these cancel (docs/numerics.md, "Tolerances"); false by default. */
  readonly roundsFewTerms?: boolean;
  readonly hasShards: boolean;
  create(centers: ContractCenters): Subject<Step>;
  /** One forward pass over shards that together own every class; results are those of all of them. */
  forwardSharded?(subjects: readonly Subject<Step>[], batch: ContractBatch): ForwardResult<readonly Step[]>;
}
