import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { nearest } from '../config/suggest.js';
import type { PlanOptions } from './iresnet.js';
import { matchesName, prefixesOf } from './namePatterns.js';
import type { PlannedLayer } from './plan.js';
import { planBackbone } from './registry.js';

/**
 * Names of the layers that are frozen by `patterns`: each names a layer, or what several names begin with (`stem`, `stage1/block2`);
 * `*` stands for anything within a part (`stage*`, `*` for all), `**` for any number of parts.
 * @throws HyperArcError E_RANGE for a pattern that no layer has, with a suggestion.
 */
export function frozenLayers(
  layers: readonly Pick<PlannedLayer, 'name'>[],
  patterns: readonly string[],
): ReadonlySet<string> {
  const frozen = new Set<string>();
  for (const pattern of patterns) {
    const found = layers.filter(({ name }) => matchesName(pattern, name));
    if (found.length === 0) {
      const near = nearest(pattern, prefixesOf(layers.map(({ name }) => name)));
      const stages = [...new Set(layers.map(({ name }) => name.split('/')[0]))].join(', ');
      const fix = near === undefined ? 'hyperarc summary NAME --layers lists them' : `did you mean ${near}?`;
      throw new HyperArcError(
        'E_RANGE',
        `backbone.frozen: expected names of layers (${stages}, and what is in them), received ${pattern}; ${fix}`,
      );
    }
    for (const { name } of found) frozen.add(name);
  }
  return frozen;
}

/** What is wrong with the `frozen` list of a configuration's backbone. */
export function frozenProblems(
  options: { name: string; frozen?: readonly string[] | undefined } & Partial<PlanOptions>,
): string[] {
  const { name, frozen = [], ...plan } = options;
  if (frozen.length === 0) return [];
  try {
    frozenLayers(planBackbone(name, plan).layers, frozen);
    return [];
  } catch (error) {
    if (!(error instanceof HyperArcError)) throw error;
    return [error.message.slice(`${error.code}: `.length)];
  }
}
