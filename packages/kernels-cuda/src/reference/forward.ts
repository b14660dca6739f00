import type { Negative } from './negatives.js';
import { logSumExp, negativeProbability, negatives } from './negatives.js';
import { operandCenters } from './operands.js';
import type { Participants, ReferenceBatch, ReferenceCenters } from './problem.js';
import { unitCenters, unitEmbeddings } from './problem.js';
import { rowGradient } from './row-gradient.js';
import type { TargetTerm } from './target.js';
import { targetTerms } from './target.js';
import { addScaled, norm, row, tangentPart, ZERO_NORM } from './vectors.js';

/** What one shard contributed to a forward pass. */
export interface ShardStep {
  readonly targets: readonly (TargetTerm | null)[];
  readonly negatives: readonly (readonly Negative[])[];
  readonly sampled: ArrayLike<number> | undefined;
}

/** A forward pass over all shards, and what the gradient with respect to the centres needs of it. */
export interface ReferenceStep {
  readonly batch: ReferenceBatch;
  readonly shards: readonly ShardStep[];
  /** a_i = ln Σ_{negatives} e^(s·N(c_ij)) [B], −∞ without negatives */
  readonly negativeLogSum: Float64Array;
  /** T_i [B] */
  readonly targetLogits: Float64Array;
  /** c_iy [B] */
  readonly targetCosine: Float64Array;
  /** τ_i [B], whatever the rule's threshold */
  readonly targetThreshold: Float64Array;
  /** Per-sample loss [B] */
  readonly sampleLoss: Float64Array;
  /** Mean of `sampleLoss`. */
  readonly loss: number;
  /** 1 − p_i [B], p_i the softmax probability of the target */
  readonly targetError: Float64Array;
  /** Gradient of `loss` with respect to the embeddings [B, D] */
  readonly embeddingGradient: Float64Array;
  /** Gradient of `loss` with respect to each sample's (s, m1, m2, m3) [B, 4]; NaN for s with a negative rule */
  readonly rowGradient: Float64Array;
}

function softplus(v: number): number {
  return Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
}

function sigmoid(v: number): number {
  return v >= 0 ? 1 / (1 + Math.exp(-v)) : Math.exp(v) / (1 + Math.exp(v));
}

/**
 * Margin softmax: loss_i = −ln( e^T / (e^T + Σ_{j≠y} e^(s·N(c_ij))) ), its mean, and the gradients of the mean with
 * respect to the embeddings and to each sample's margin parameters (docs/numerics.md, "Loss and gradients"). The centres
 * may be split over several shards; the result is that of all of them together.
 *
 * @param sampledByShard for each shard the local classes that take part (partial FC), holding every owned positive.
 */
export function forward(
  shards: readonly ReferenceCenters[],
  batch: ReferenceBatch,
  sampledByShard: Participants = [],
): ReferenceStep {
  const { dim } = shards[0];
  const batchSize = batch.labels.length;
  const ofEachSample = (value: (i: number) => number) => Float64Array.from({ length: batchSize }, (_, i) => value(i));
  const targets = shards.map((centers) => targetTerms(centers, batch));
  const targetOf = (i: number) => targets.map((terms) => terms[i]).find((term) => term !== null)!;
  const targetThreshold = ofEachSample((i) => targetOf(i).threshold);
  const shardSteps = shards.map((centers, h): ShardStep => {
    const sampled = sampledByShard[h];
    return { targets: targets[h], negatives: negatives(centers, batch, sampled, targetThreshold), sampled };
  });

  const negativeLogSum = ofEachSample((i) =>
    logSumExp(shardSteps.flatMap((shard) => shard.negatives[i].map((negative) => negative.logit))),
  );
  const targetLogits = ofEachSample((i) => targetOf(i).logit);
  const sampleLoss = ofEachSample((i) => softplus(negativeLogSum[i] - targetLogits[i]));
  const step = {
    batch,
    shards: shardSteps,
    negativeLogSum,
    targetLogits,
    targetCosine: ofEachSample((i) => targetOf(i).cosine),
    targetThreshold,
    sampleLoss,
    loss: sampleLoss.reduce((sum, value) => sum + value, 0) / batchSize,
    targetError: ofEachSample((i) => sigmoid(negativeLogSum[i] - targetLogits[i])),
  };
  return {
    ...step,
    embeddingGradient: embeddingGradient(shards, step, dim),
    rowGradient: rowGradient(step),
  };
}

/** dX [B, D]: the chain rule through the logits, the cosines c = x̂·ŵ, and x̂ = x/‖x‖. */
function embeddingGradient(
  shards: readonly ReferenceCenters[],
  step: Omit<ReferenceStep, 'embeddingGradient' | 'rowGradient'>,
  dim: number,
): Float64Array {
  const centerVectors = shards.map(unitCenters);
  const operandVectors = shards.map(operandCenters);
  const batchSize = step.batch.labels.length;
  const gradientBD = new Float64Array(batchSize * dim);
  unitEmbeddings(step.batch, dim).forEach((x, i) => {
    const length = norm(row(step.batch.embeddings, i, dim));
    if (length < ZERO_NORM) return;
    const toUnit = new Float64Array(dim);
    step.shards.forEach((shard, h) => {
      for (const negative of shard.negatives[i]) {
        const w = operandVectors[h][negative.localClass][negative.winner];
        addScaled(toUnit, negativeProbability(step, i, negative) * negative.derivative, w);
      }
      const target = shard.targets[i];
      if (!target) return;
      const w = centerVectors[h][target.localClass][target.winner];
      addScaled(toUnit, -step.targetError[i] * target.derivative, w);
    });
    const gradient = tangentPart(toUnit, x).map((value) => value / (length * batchSize));
    gradientBD.set(gradient, i * dim);
  });
  return gradientBD;
}
