/**
 * The typed picture of the native addon: every function and class that `hyperarc.node` exports, and nothing else.
 * The rest of the package talks to the addon only through these types. Shapes: docs/notation.md.
 *
 * Errors: a failing native call throws (or rejects with) an Error whose `code` is one of {@link HyperArcErrorCode}.
 */

/** String codes of every error HyperArc raises; see docs/architecture.md, "Errors". */
export type HyperArcErrorCode =
  | 'E_SHAPE'
  | 'E_DTYPE'
  | 'E_RANGE'
  | 'E_DEVICE'
  | 'E_MEMORY'
  | 'E_FORMAT'
  | 'E_DISPOSED'
  | 'E_BUSY'
  | 'E_STALE'
  | 'E_NONFINITE'
  | 'E_INTERNAL';

export type InstructionSet = 'auto' | 'portable' | 'avx2' | 'avx512';
/** Kernel family of the CUDA engine's two passes; 'auto' takes the table's choice, the others insist. */
export type Kernels = 'auto' | 'plain' | 'mma' | 'wgmma';
export type Fallback = 'hard' | 'easy' | 'none' | 'clip';
export type GradientMode = 'exact' | 'straight-through';
export type MarginFamily = 'cosine' | 'sphere' | 'quadratic' | 'circle';
export type Precision = 'fp32' | 'bf16' | 'bf16-master';
/** What moves the centres: SGD with momentum, or torch.optim.AdamW. */
export type Optimizer = 'sgd' | 'adamw';
export type Unsampled = 'frozen' | 'decayed';

export interface NativeDeviceInfo {
  kind: 'cpu' | 'cuda';
  index: number;
  name: string;
  /** 'avx512' | 'avx2' | 'portable', or 'sm_90a' and the like. */
  instructionSet: string;
  totalMemoryBytes: number;
  freeMemoryBytes: number;
  /** Size of the CPU thread pool; 0 on a GPU. */
  threads: number;
}

export interface NativeEngineConfig {
  kind: 'cpu' | 'cuda';
  index: number;
  instructionSet: InstructionSet;
  /** 0: one thread for each processor. */
  threads: number;
  /** CUDA only. */
  kernels: Kernels;
}

export interface NativeCentersConfig {
  classes: number;
  subCenters: number;
  dim: number;
  precision: Precision;
  firstClass: number;
  /** 0 means `classes`. */
  globalClasses: number;
  optimizer: Optimizer;
  /** Hold a momentum buffer; true with adamw, which holds two moments. */
  momentum: boolean;
}

/** N(c) = value[0] + value[1]·c + value[2]·c²; back-propagated with dN/dc = slope[0] + slope[1]·c. */
export interface NativeNegativeBranch {
  readonly value: readonly [number, number, number];
  readonly slope: readonly [number, number];
}

export interface NativeNegativeRule {
  readonly threshold: 'target' | number;
  readonly above: NativeNegativeBranch;
  readonly below: NativeNegativeBranch;
}

export interface NativeMarginRule {
  scale: number;
  m1: number;
  m2: number;
  m3: number;
  fallback: Fallback;
  gradient: GradientMode;
  family: MarginFamily;
  blend: number;
  clipRadians: number;
  /** undefined: N(c) = c. */
  negatives: NativeNegativeRule | undefined;
}

export interface NativeBatch {
  /** [B, D] */
  embeddings: Float32Array;
  /** [B], global class indices */
  labels: Int32Array;
  rule: NativeMarginRule;
  /** [B, 4]: per-sample s, m1, m2, m3; undefined for the rule's own numbers. */
  rowParameters?: Float32Array | undefined;
  /** Sorted unique local class indices that take part; undefined for all. */
  sampled?: Int32Array | undefined;
}

export interface NativeUpdateOptions {
  learningRate: number;
  /** sgd only. */
  momentum: number;
  weightDecay: number;
  unsampled: Unsampled;
  /** Counter of a bf16 master's stochastic rounding. */
  roundingStep: bigint;
  /** adamw only: β₁, β₂ and ε. */
  beta1: number;
  beta2: number;
  epsilon: number;
}

export interface NativePlan {
  parts: { name: string; bytes: number; persistent: boolean }[];
  persistentBytes: number;
  peakBytes: number;
  availableBytes: number;
  fits: boolean;
}

/** Milliseconds by device events. */
export interface NativeStepTimes {
  forwardMs: number;
  updateMs: number;
}

/** What forward wrote; the buffers were given by the caller. */
export interface NativeForwardOutputs {
  /** [B] per-sample loss */
  loss: Float32Array;
  /** [B, D] gradient of the mean loss with respect to the embeddings */
  embeddingGradient: Float32Array;
  /** [B] cos θ to the target centre */
  targetCosine: Float32Array;
  /** [B, 4] gradient of the mean loss by each sample's s, m1, m2, m3 */
  rowGradient: Float32Array;
}

/** 'momentum' is AdamW's first moment too; 'secondMoment' only with adamw. */
export type NativeBuffer = 'weights' | 'momentum' | 'secondMoment';

/** What crosses shards. 'targetThreshold' is empty unless the rule's negatives have the threshold 'target'. */
export type NativeSeam = 'targetLogits' | 'targetThreshold' | 'sumExp' | 'embeddingGradient' | 'rowGradient';

/** A forward pass's memory for pass 2. Empty until a forward filled it. */
export interface NativeStep {
  /** Number usable as the `step` attribute of the TensorFlow op. */
  readonly id: number;
  readonly batch: number;
  readonly bytes: number;
  readonly state: 'empty' | 'in-flight' | 'ready' | 'disposed';
  dispose(): void;
}

/**
 * Class centres in an engine. Each operation has a synchronous form, and an `…Async` form that runs on the engine's one native thread, in
 * the order of the calls. While an asynchronous operation uses the centres or a step, a synchronous call with the same object throws
 * E_BUSY; one with other objects of the engine waits for what runs now. Inputs are copied by the call, and results appear when the
 * promise is settled. Disposing an object in flight marks it disposed at once; the operation finishes and its promise settles.
 */
export interface NativeClassCenters {
  /** Number usable as the `centers` attribute of the TensorFlow op. */
  readonly id: number;
  readonly config: NativeCentersConfig;
  readonly bytes: number;
  readonly weightsVersion: number;
  /** AdamW: updates so far, t of the bias corrections; 0 with sgd. */
  readonly updates: number;
  readonly state: 'live' | 'in-flight' | 'disposed';
  seedNormal(seed: bigint, stddev: number): void;
  /** E_RANGE with sgd. */
  setUpdates(updates: number): void;
  writeRows(buffer: NativeBuffer, firstRow: number, values: Float32Array): void;
  readRows(buffer: NativeBuffer, firstRow: number, rowCount: number): Float32Array;
  /** Rows by number (class·K + k); writing wants each once. */
  readRowsAt(buffer: NativeBuffer, rows: Float64Array): Float32Array;
  writeRowsAt(buffer: NativeBuffer, rows: Float64Array, values: Float32Array): void;
  resize(classes: number, seed: bigint, stddev: number): void;
  forward(batch: NativeBatch, step: NativeStep, out: NativeForwardOutputs): void;
  forwardAsync(batch: NativeBatch, step: NativeStep, out: NativeForwardOutputs): Promise<void>;
  /**
   * Stages of forward for shards: targetTerms → sum targetLogits and targetThreshold → negativeSums → sum sumExp → finishForward → sum
   * embeddingGradient and rowGradient.
   */
  targetTerms(batch: NativeBatch, step: NativeStep): void;
  negativeSums(step: NativeStep): void;
  finishForward(step: NativeStep, out: NativeForwardOutputs): void;
  /** Copies a seam out of (`get`) or into (`set`) a step. */
  getSeam(step: NativeStep, seam: NativeSeam): Float32Array;
  setSeam(step: NativeStep, seam: NativeSeam, values: Float32Array): void;
  update(steps: NativeStep[], options: NativeUpdateOptions): void;
  updateAsync(steps: NativeStep[], options: NativeUpdateOptions): Promise<void>;
  /** Dense dW [C, K, D]. */
  gradients(steps: NativeStep[]): Float32Array;
  gradientsAsync(steps: NativeStep[]): Promise<Float32Array>;
  /** Cosines [B, C]. */
  cosines(embeddings: Float32Array): Float32Array;
  cosinesAsync(embeddings: Float32Array): Promise<Float32Array>;
  /** cos θ to each sample's own centre [B], 0 where not owned. */
  targetCosines(embeddings: Float32Array, labels: Int32Array): Float32Array;
  targetCosinesAsync(embeddings: Float32Array, labels: Int32Array): Promise<Float32Array>;
  sample(labels: Int32Array, rate: number, seed: bigint, step: bigint, shard: number): Int32Array;
  sampleAsync(labels: Int32Array, rate: number, seed: bigint, step: bigint, shard: number): Promise<Int32Array>;
  /** Which kernels a step of this batch size runs, e.g. 'cpu-avx512' or 'mma-bf16-d512'. */
  kernels(batch: number): string;
  /** Device time of the latest forward and update that have finished; undefined where no device measures it. Waits for them. */
  lastTimes(): NativeStepTimes | undefined;
  dispose(): void;
}

export interface NativeEngine {
  readonly device: NativeDeviceInfo;
  readonly state: 'live' | 'disposed';
  plan(config: NativeCentersConfig, batch: number, rate: number): NativePlan;
  createCenters(config: NativeCentersConfig): NativeClassCenters;
  createStep(): NativeStep;
  /** Disposes its centres and steps too. */
  dispose(): void;
}

/** NHWC convolution geometry for the kernels that the wasm backend lacks or runs in one thread. Pads are of the top/left side. */
export interface NativeConvShape {
  batch: number;
  inHeight: number;
  inWidth: number;
  inChannels: number;
  outHeight: number;
  outWidth: number;
  outChannels: number;
  filterHeight: number;
  filterWidth: number;
  strideHeight: number;
  strideWidth: number;
  padTop: number;
  padLeft: number;
  dilationHeight: number;
  dilationWidth: number;
}

export interface NativeAddon {
  readonly abi: 4;
  /** e.g. "cpu-only, g++ 12.2.0, Release" */
  readonly buildDescription: string;
  /** Empty when CUDA is built in and usable; else why not. */
  whyNoCuda(): string;
  listDevices(): NativeDeviceInfo[];
  isaSupported(isa: InstructionSet): boolean;
  createEngine(config: NativeEngineConfig): NativeEngine;
  /** Registers HyperArcMarginSoftmax in the libtensorflow this process has loaded. Empty string on success, else why not. */
  registerTensorFlowOps(): string;
  conv2d(x: Float32Array, filter: Float32Array, shape: NativeConvShape): Float32Array;
  conv2dBackpropFilter(x: Float32Array, dy: Float32Array, shape: NativeConvShape): Float32Array;
  conv2dBackpropInput(dy: Float32Array, filter: Float32Array, shape: NativeConvShape): Float32Array;
  /** outChannels = inChannels · multiplier. */
  depthwiseBackpropFilter(x: Float32Array, dy: Float32Array, shape: NativeConvShape): Float32Array;
  depthwiseBackpropInput(dy: Float32Array, filter: Float32Array, shape: NativeConvShape): Float32Array;
  /** values [rows, columns], ids [rows] → [numSegments, columns]; negative ids are dropped. */
  unsortedSegmentSum(values: Float32Array, ids: Int32Array, numSegments: number): Float32Array;
}
