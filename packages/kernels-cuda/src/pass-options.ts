import type { NativeBatch, NativeCentersConfig, NativeUpdateOptions, Unsampled } from './binding.js';
import {
  describeValue,
  requireFloat32,
  requireInt32,
  requireInteger,
  requireNumber,
  requireObject,
  requireOneOf,
  requireRate,
  requireUint64,
} from './checks.js';
import { HyperArcError } from './errors.js';
import { checkMarginRule, type MarginRule } from './margin.js';
import type { Step } from './step.js';

/** A micro-batch for the head. The arrays are copied by the call: they may be changed as soon as it returns. */
export interface BatchOptions {
  /** [B, D] row-major, finite; need not have unit length. */
  readonly embeddings: Float32Array;
  /** [B] global class indices in [0, globalClasses). */
  readonly labels: Int32Array;
  readonly margin: MarginRule;
  /** [B, 4]: per-sample (s, m1, m2, m3) instead of the rule's four numbers: adaptive margins. */
  readonly rowParameters?: Float32Array | undefined;
  /** Partial FC: sorted unique local class indices that take part (see `sample`); all classes by default. */
  readonly sampled?: Int32Array | undefined;
  /** A step whose memory to use again; a new one by default. */
  readonly step?: Step | undefined;
}

/** What a forward pass gives. */
export interface ForwardResult {
  /** Mean loss over the batch, in nats. */
  readonly loss: number;
  /** [B] */
  readonly lossPerSample: Float32Array;
  /** [B, D] gradient of the mean loss with respect to the embeddings. */
  readonly embeddingGradient: Float32Array;
  /** [B] cosine of the angle to the target centre (the winner of K). */
  readonly targetCosine: Float32Array;
  /**
   * [B, 4] gradient of the mean loss with respect to each sample's (s, m1, m2, m3), whether they were given by `rowParameters` or by the
   * rule. With `negatives` in the rule the first column is NaN: the passes do not form it.
   */
  readonly rowGradient: Float32Array;
  /** What `update` and `gradients` need. */
  readonly step: Step;
}

/** Samples with their own classes. */
export type TargetOptions = Pick<BatchOptions, 'embeddings' | 'labels'>;

export interface SampleOptions {
  /** [B] global class indices: the owned ones among them always take part. */
  readonly labels: Int32Array;
  /** r in (0, 1]: share of the owned classes that take part. */
  readonly rate: number;
  /** In [0, 2^64); 0 by default. */
  readonly seed?: number | bigint;
  /** Number of the training step, in [0, 2^64); 0 by default. Another step draws other negatives. */
  readonly step?: number | bigint;
  /** Number of the shard, in [0, 2^32); 0 by default. */
  readonly shard?: number;
}

/**
 * Centres made with optimizer 'sgd' move as PyTorch's SGD: v ← μ·v + (dW + λ·w); w ← w − η·v. Those made with 'adamw' as its AdamW
 * (Loshchilov and Hutter 2019, algorithm 2), t the number of this update, one count for all rows:
 *
 * m ← β₁·m + (1 − β₁)·dW; v ← β₂·v + (1 − β₂)·dW²; w ← w·(1 − η·λ) − η/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + ε).
 *
 * Rows that 'frozen' leaves out keep m and v, and t goes on without them: docs/decisions/0029.
 */
export interface UpdateOptions {
  /** η ≥ 0. */
  readonly learningRate: number;
  /** 'sgd' only: μ in [0, 1); 0.9 by default, 0 for centres without a momentum buffer. */
  readonly momentum?: number;
  /** 'adamw' only: β₁ and β₂, each in [0, 1); 0.9 and 0.999 by default. */
  readonly betas?: readonly [number, number] | readonly number[];
  /** 'adamw' only: ε in [1e-30, 1]; 1e-8 by default. */
  readonly epsilon?: number;
  /** λ ≥ 0; 5e-4 by default, with 'adamw' 0.1. */
  readonly weightDecay?: number;
  /** What happens to the classes a partial-FC step left out: 'frozen' (default) or 'decayed'. */
  readonly unsampled?: Unsampled;
  /**
   * Counter of the stochastic rounding of precision 'bf16-master', in [0, 2^64): each update needs its own, and a resumed run the same as
   * the uninterrupted one: give the number of the training step. By default the number of updates of these centres so far.
   */
  readonly roundingStep?: number | bigint;
}

const UNSAMPLED: readonly Unsampled[] = ['frozen', 'decayed'];
/** PyTorch's. */
const BETAS = { beta1: 0.9, beta2: 0.999 };
const EPSILON = 1e-8;
/** arcface_torch's. */
const WEIGHT_DECAY = { sgd: 5e-4, adamw: 0.1 };

/** @throws HyperArcError E_DTYPE or E_RANGE naming the field; lengths and values are the engine's to check. */
export function toNativeBatch(options: BatchOptions): NativeBatch {
  requireObject('options', options);
  const { rowParameters, sampled } = options;
  return {
    embeddings: requireFloat32('embeddings', options.embeddings),
    labels: requireInt32('labels', options.labels),
    rule: checkMarginRule(options.margin),
    rowParameters: rowParameters === undefined ? undefined : requireFloat32('rowParameters', rowParameters),
    sampled: sampled === undefined ? undefined : requireInt32('sampled', sampled),
  };
}

/** Refuses what only the other optimizer has. */
function requireAbsent(name: 'momentum' | 'betas' | 'epsilon', options: UpdateOptions, optimizer: string): void {
  if (options[name] === undefined) return;
  const expected = `none for class centres made with optimizer '${optimizer}'`;
  throw new HyperArcError(
    'E_RANGE',
    `${name}: expected ${expected}, received ${describeValue(options[name])}; leave it out`,
  );
}

function sgdNumbers(options: UpdateOptions, hasMomentum: boolean) {
  requireAbsent('betas', options, 'sgd');
  requireAbsent('epsilon', options, 'sgd');
  const momentum = requireNumber('momentum', options.momentum ?? (hasMomentum ? 0.9 : 0), 0, 1);
  if (momentum === 1 || (momentum > 0 && !hasMomentum)) {
    const expected = hasMomentum ? 'a number in [0, 1)' : '0 for class centres made with momentum: false';
    throw new HyperArcError('E_RANGE', `momentum: expected ${expected}, received ${momentum}`);
  }
  return { momentum, ...BETAS, epsilon: EPSILON };
}

function adamwNumbers(options: UpdateOptions) {
  requireAbsent('momentum', options, 'adamw');
  const { betas = [BETAS.beta1, BETAS.beta2], epsilon = EPSILON } = options;
  const isBeta = (beta: unknown) => typeof beta === 'number' && beta >= 0 && beta < 1;
  if (!Array.isArray(betas) || betas.length !== 2 || !betas.every(isBeta)) {
    const received = Array.isArray(betas) ? `[${betas.join(', ')}]` : describeValue(betas);
    throw new HyperArcError('E_RANGE', `betas: expected two numbers in [0, 1), received ${received}`);
  }
  const [beta1, beta2] = betas as [number, number];
  return { momentum: 0, beta1, beta2, epsilon: requireNumber('epsilon', epsilon, 1e-30, 1) };
}

/** @param updatesBefore the default of `roundingStep`. @throws HyperArcError E_RANGE naming the field. */
export function toNativeUpdate(
  options: UpdateOptions,
  { optimizer, momentum }: Pick<NativeCentersConfig, 'optimizer' | 'momentum'>,
  updatesBefore: number,
): NativeUpdateOptions {
  requireObject('options', options);
  return {
    ...(optimizer === 'adamw' ? adamwNumbers(options) : sgdNumbers(options, momentum)),
    learningRate: requireNumber('learningRate', options.learningRate, 0, 3e38),
    weightDecay: requireNumber('weightDecay', options.weightDecay ?? WEIGHT_DECAY[optimizer], 0, 3e38),
    unsampled: requireOneOf('unsampled', options.unsampled ?? 'frozen', UNSAMPLED),
    roundingStep: requireUint64('roundingStep', options.roundingStep ?? updatesBefore),
  };
}

/** @throws HyperArcError E_DTYPE or E_RANGE naming the field; lengths and values are the engine's to check. */
export function checkTargets(options: TargetOptions): TargetOptions {
  requireObject('options', options);
  return {
    embeddings: requireFloat32('embeddings', options.embeddings),
    labels: requireInt32('labels', options.labels),
  };
}

/** @throws HyperArcError E_DTYPE or E_RANGE naming the field. */
export function checkSample(options: SampleOptions) {
  requireObject('options', options);
  return {
    labels: requireInt32('labels', options.labels),
    rate: requireRate(options.rate),
    seed: requireUint64('seed', options.seed ?? 0),
    step: requireUint64('step', options.step ?? 0),
    shard: requireInteger('shard', options.shard ?? 0, 0, 2 ** 32 - 1),
  };
}
