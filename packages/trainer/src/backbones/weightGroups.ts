import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { nearest } from '../config/suggest.js';
import { frozenLayers } from './frozenLayers.js';
import type { PlanOptions } from './iresnet.js';
import { matchesName, prefixesOf } from './namePatterns.js';
import { planBackbone } from './registry.js';
import { torchWeights } from './torchNames.js';

/** Weights of a backbone with numbers of their own. */
export interface WeightGroup {
  /** Layers or weights (`LAYER/part`) by their names, as `matchesName` takes them. */
  readonly names: readonly string[];
  /** On the learning rate. Default 1. */
  readonly learningRateFactor?: number | undefined;
  /** On the weight decay. Default 1. */
  readonly weightDecayFactor?: number | undefined;
}

/** What the numbers of an optimizer are multiplied by for one weight. */
export interface WeightFactors {
  readonly learningRate: number;
  readonly weightDecay: number;
}

const layerOf = (weight: string): string => weight.slice(0, weight.lastIndexOf('/'));

/**
 * The weights that each group's patterns name.
 * @param weights Names of the weights that may be named, `LAYER/part`.
 * @param frozen Layers that do not learn.
 * @throws HyperArcError E_RANGE for a pattern that names none of them, with a suggestion, or only weights of frozen layers.
 */
export function weightsOfGroups(
  weights: readonly string[],
  groups: readonly WeightGroup[],
  frozen: ReadonlySet<string> = new Set(),
): string[][] {
  return groups.map(({ names }, i) => {
    const members = new Set<string>();
    for (const pattern of names) {
      const found = weights.filter((name) => matchesName(pattern, name));
      const learning = found.filter((name) => !frozen.has(layerOf(name)));
      if (found.length === 0) throw unknownName(i, pattern, weights);
      if (learning.length === 0) {
        throw new HyperArcError(
          'E_RANGE',
          `optimizer.groups.${i}.names: expected weights that learn, received ${pattern}, which backbone.frozen holds; remove it from one of the two`,
        );
      }
      for (const name of learning) members.add(name);
    }
    return [...members];
  });
}

function unknownName(group: number, pattern: string, weights: readonly string[]): HyperArcError {
  const near = nearest(pattern, prefixesOf(weights));
  const firsts = [...new Set(weights.map((name) => name.split('/')[0]))].join(', ');
  const lasts = [...new Set(weights.map((name) => name.split('/').at(-1)))].join(', ');
  const fix = near === undefined ? 'hyperarc summary NAME --layers lists the layers' : `did you mean ${near}?`;
  return new HyperArcError(
    'E_RANGE',
    `optimizer.groups.${group}.names: expected names of layers or weights (${firsts}, and what is in them, down to ${lasts}), received ${pattern}; ${fix}`,
  );
}

/** The factors of each weight that a group names; of one in several groups, their products. Errors as {@link weightsOfGroups}. */
export function weightFactors(weights: readonly string[], groups: readonly WeightGroup[]): Map<string, WeightFactors> {
  const factors = new Map<string, WeightFactors>();
  for (const [i, members] of weightsOfGroups(weights, groups).entries()) {
    const { learningRateFactor = 1, weightDecayFactor = 1 } = groups[i]!;
    for (const name of members) {
      const { learningRate, weightDecay } = factors.get(name) ?? { learningRate: 1, weightDecay: 1 };
      factors.set(name, {
        learningRate: learningRate * learningRateFactor,
        weightDecay: weightDecay * weightDecayFactor,
      });
    }
  }
  return factors;
}

/** The groups in words, each with the number of its weights. Errors as {@link weightsOfGroups}. */
export function describeGroups(weights: readonly string[], groups: readonly WeightGroup[]): string[] {
  return weightsOfGroups(weights, groups).map((members, i) => {
    const { names, learningRateFactor, weightDecayFactor } = groups[i]!;
    const numbers = [
      ...(learningRateFactor === undefined ? [] : [`learning rate × ${learningRateFactor}`]),
      ...(weightDecayFactor === undefined ? [] : [`weight decay × ${weightDecayFactor}`]),
    ];
    return `${names.join(', ')}: ${numbers.join(', ')} (${members.length} of ${weights.length} weights)`;
  });
}

interface GroupedBackbone extends Partial<PlanOptions> {
  readonly name: string;
  readonly frozen?: readonly string[] | undefined;
  /** Default true. */
  readonly fused?: boolean;
}

/**
 * Names of the weights that a backbone can learn, in the order of the plan: no running statistics, no scale that stays. Of tfjs's own
 * layers (`fused` false) every scale learns, and the kernel of a depthwise convolution has another name.
 */
export function plannedWeights({ name, frozen: _, fused = true, ...options }: GroupedBackbone): string[] {
  const plan = planBackbone(name, options);
  const layers = new Map(plan.layers.map((layer) => [layer.name, layer.operation]));
  return torchWeights(plan).flatMap(({ name: weight, torchShape }) => {
    const operation = layers.get(layerOf(weight))!;
    const part = weight.slice(weight.lastIndexOf('/') + 1);
    if (part === 'running_mean' || part === 'running_variance') return [];
    if (!fused && operation.kind === 'conv' && operation.groups > 1 && torchShape[1] === 1) {
      return [weight.replace(/kernel$/, 'depthwise_kernel')];
    }
    const stays = fused && part === 'gamma' && operation.kind === 'norm' && !operation.scaleTrainable;
    return stays ? [] : [weight];
  });
}

/** The groups of a configuration that is right, in words, without building the backbone. */
export function describePlannedGroups(backbone: GroupedBackbone, groups: readonly WeightGroup[]): string[] {
  const { name, frozen = [], ...plan } = backbone;
  const held = frozenLayers(planBackbone(name, plan).layers, frozen);
  const weights = plannedWeights(backbone).filter((weight) => !held.has(layerOf(weight)));
  return describeGroups(weights, groups);
}

/** What is wrong with the names in `optimizer.groups` of a configuration. */
export function groupProblems(backbone: GroupedBackbone, groups: readonly WeightGroup[]): string[] {
  if (groups.length === 0) return [];
  const { name, frozen = [], ...plan } = backbone;
  try {
    const held = frozenLayers(planBackbone(name, plan).layers, frozen);
    weightsOfGroups(plannedWeights(backbone), groups, held);
    return [];
  } catch (error) {
    if (!(error instanceof HyperArcError)) throw error;
    const problem = error.message.slice(`${error.code}: `.length);
    // Of `frozen` it is told elsewhere.
    return problem.startsWith('optimizer.') ? [problem] : [];
  }
}
