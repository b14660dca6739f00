import { HyperArcError } from '@hyperarc/kernels-cuda/errors';

import { nearest } from '../config/suggest.js';
import type { PlanOptions } from './iresnet.js';
import type { PlannedLayer } from './plan.js';
import { planBackbone } from './registry.js';

/** `stage*` of a name's part as a regular expression. */
function partMatcher(part: string): RegExp {
  const escaped = part.split('*').map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`);
}

/** Whether a pattern's parts are those that `name` begins with. */
function matches(pattern: string, name: string): boolean {
  const [wanted, parts] = [pattern.split('/'), name.split('/')];
  return wanted.length <= parts.length && wanted.every((part, i) => partMatcher(part).test(parts[i]!));
}

/** `stage1`, `stage1/block1`, `stage1/block1/conv1`: all that a pattern may name. */
function namesOf(layers: readonly Pick<PlannedLayer, 'name'>[]): string[] {
  const names = layers.flatMap(({ name }) => {
    const parts = name.split('/');
    return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
  });
  return [...new Set(names)];
}

/**
 * Names of the layers that are frozen by `patterns`: each names a layer, or what several names begin with (`stem`, `stage1/block2`);
 * `*` stands for anything within a part (`stage*`, `*` for all).
 * @throws HyperArcError E_RANGE for a pattern that no layer has, with a suggestion.
 */
export function frozenLayers(
  layers: readonly Pick<PlannedLayer, 'name'>[],
  patterns: readonly string[],
): ReadonlySet<string> {
  const frozen = new Set<string>();
  for (const pattern of patterns) {
    const found = layers.filter(({ name }) => matches(pattern, name));
    if (found.length === 0) {
      const near = nearest(pattern, namesOf(layers));
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
