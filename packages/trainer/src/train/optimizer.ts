import { HyperArcError } from '@hyperarc/kernels-cuda';
import type { LayerVariable } from '@tensorflow/tfjs-layers';

import { describeGroups, weightFactors } from '../backbones/weightGroups.js';
import type { OptimizerConfig } from '../config/index.js';
import { AdamW, type Optimizer, SgdMomentum } from '../optim/index.js';

const namesOf = (weights: readonly LayerVariable[]): string[] => weights.map(({ originalName }) => originalName);

/** `optimizer.groups` in words. @param weights the model's `trainableWeights`. */
export function optimizerGroups({ groups = [] }: OptimizerConfig, weights: readonly LayerVariable[]): string[] {
  return describeGroups(namesOf(weights), groups);
}

/**
 * The backbone's optimizer.
 * @param weights the model's `trainableWeights`.
 * @throws HyperArcError E_RANGE for a group of `optimizer.groups` that names none of them.
 */
export function createOptimizer(config: OptimizerConfig, weights: readonly LayerVariable[]): Optimizer {
  const { weightDecay, decayNormAndBias, kind, momentum = 0, betas, epsilon, groups = [] } = config;
  const factors = weightFactors(namesOf(weights), groups);
  const common = { weightDecay, decayNormAndBias, weights, factors };
  if (kind === 'sgd') return new SgdMomentum({ ...common, momentum });
  return new AdamW({ ...common, ...(betas && { betas }), ...(epsilon !== undefined && { epsilon }) });
}

/**
 * @param key `optimizer.kind` or `optimizer.head.kind`.
 * @param saved kind in a checkpoint; absent in those written when there was only sgd.
 * @throws HyperArcError E_RANGE if it is another than the run's: its state means nothing to it.
 */
export function checkOptimizerKind(key: string, kind: OptimizerConfig['kind'], saved = 'sgd'): void {
  if (kind === saved) return;
  const fix = 'go on with the same, or start a new run from its weights (backbone.weights and head.weights)';
  throw new HyperArcError('E_RANGE', `${key}: expected ${saved} of the checkpoint, received ${kind}; ${fix}`);
}
