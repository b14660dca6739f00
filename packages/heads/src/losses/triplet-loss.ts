import * as tf from '@tensorflow/tfjs-core';
import type { Labels } from '../checks.js';
import { checkFlag, checkNumber, checkOneOf, checkOptions, fail } from '../specs/check-options.js';
import { checkBatch, readIdentities } from './checks.js';
import { meanOver, pairLoss } from './pairs.js';
import { batchAllSums, batchHardSums, type TripletRule } from './triplet-mining.js';

/** Which triplets of a batch count: {@link tripletLoss}. */
export type TripletMining = 'batch-all' | 'batch-hard' | 'semi-hard';

export interface TripletLossOptions {
  /** Default 'semi-hard'. */
  readonly mining?: TripletMining;
  /** α in (0, 4], in the unit of `distance`; default 0.2 (FaceNet). 'soft': ln(1 + e^x) in place of the hinge (Hermans et al.). */
  readonly margin?: number | 'soft';
  /** 'squared' (default; FaceNet) or 'euclidean' (Hermans et al.). */
  readonly distance?: 'squared' | 'euclidean';
  /** Whether embeddings are scaled to unit length first; default true. */
  readonly normalize?: boolean;
  /** Mean over all mined triplets (default), or over those with a loss above 0 (L_BA≠0 of Hermans et al.). */
  readonly average?: 'all' | 'nonzero';
}

/**
 * Triplet loss: the mean of max(0, d(a,p) − d(a,n) + α) over triplets of anchor, positive and negative mined from a labelled batch.
 * Schroff et al., "FaceNet", CVPR 2015, eq. 3; Hermans et al., "In Defense of the Triplet Loss", 2017, eq. 5 and 6.
 *
 * - 'batch-all': every triplet.
 * - 'batch-hard': for each anchor that has both, its farthest positive and its nearest negative; ties to the lowest index.
 * - 'semi-hard': every triplet with d(a,p) < d(a,n) < d(a,p) + α.
 *
 * A batch without such a triplet has loss 0 and gradient 0; one with an embedding that is not finite has a loss that is not. Where two embeddings are the same point, the direction between them is
 * undefined and their distance adds nothing to the gradient. Differentiable once. Time O(B³ + B²·D); intermediates of 64 MiB at most
 * (B ≤ 4096).
 *
 * @param embeddings float32 [B, D]
 * @param labels [B], identity numbers: integers in [0, 2³¹)
 * @returns float32 scalar
 * @throws HyperArcError E_SHAPE, E_DTYPE, E_RANGE naming the parameter.
 */
export function tripletLoss(embeddings: tf.Tensor, labels: Labels, options: TripletLossOptions = {}): tf.Scalar {
  checkOptions('tripletLoss', options, ['mining', 'margin', 'distance', 'normalize', 'average']);
  const { mining = 'semi-hard', margin = 0.2, distance = 'squared', normalize = true, average = 'all' } = options;
  checkOneOf('mining', mining, ['batch-all', 'batch-hard', 'semi-hard']);
  checkOneOf('distance', distance, ['squared', 'euclidean']);
  checkOneOf('average', average, ['all', 'nonzero']);
  checkFlag('normalize', normalize);
  if (margin !== 'soft') checkNumber('margin', margin, { low: 0, high: 4, openLow: true });
  else if (mining === 'semi-hard') fail('margin', 'a number with semi-hard mining', margin, 'α bounds its triplets');
  checkBatch(embeddings);
  const identities = readIdentities(labels, embeddings.shape[0]);

  const rule: TripletRule = { margin, semiHard: mining === 'semi-hard' };
  const sumsOf = mining === 'batch-hard' ? batchHardSums : batchAllSums;
  return pairLoss(embeddings, identities, { measure: distance, normalize }, (distances, masks) => {
    const { total, count, active, slopesBB } = sumsOf(distances, masks, rule);
    const divisor = average === 'nonzero' ? active : count;
    return { value: meanOver(total, divisor), slopesBB: tf.div(slopesBB, tf.maximum(divisor, 1)) };
  });
}
