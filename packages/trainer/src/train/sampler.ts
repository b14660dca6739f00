import { HyperArcError } from '@hyperarc/kernels-cuda';

import type { Config } from '../config/index.js';
import { BalancedSampler, GroupBalancedSampler, readGroups, type ImageDataset, type Sampler } from '../data/index.js';

/**
 * The sampler of a configuration; undefined for plain shuffling.
 * @throws HyperArcError E_RANGE for numbers that the data do not have, E_FORMAT for a file of groups that cannot be read.
 */
export function createSampler(
  { data, training, seed }: Pick<Config, 'data' | 'training' | 'seed'>,
  dataset: Pick<ImageDataset, 'labels' | 'identities' | 'nameOf'>,
): Sampler | undefined {
  const { sampler } = data;
  if (sampler?.kind === 'balanced') {
    return new BalancedSampler({
      labels: Uint32Array.from(dataset.labels),
      classes: dataset.identities.length,
      identities: sampler.identities!,
      images: sampler.images!,
      seed,
    });
  }
  if (sampler?.kind === 'group-balanced') {
    const { groups, names } = groupsOf(dataset, sampler.groups!, sampler.column);
    return new GroupBalancedSampler({ groups, groupNames: names, batchSize: training.batchSize, seed });
  }
  return undefined;
}

/** Group of each sample, in the order of the groups' names. */
function groupsOf(
  { labels, nameOf }: Pick<ImageDataset, 'labels' | 'nameOf'>,
  file: string,
  column: string | undefined,
): { groups: Uint32Array; names: string[] } {
  const argument = 'data.sampler.groups';
  const { groupOf, source } = readGroups(argument, file, column);
  const groups = Array.from(labels, (_, index) => groupOf(nameOf(index)));
  const missing = groups.indexOf(undefined);
  if (missing >= 0) {
    const count = groups.filter((group) => group === undefined).length;
    throw new HyperArcError(
      'E_RANGE',
      `${argument}: expected a group for every image, received none for ${nameOf(missing)} and ${count - 1} others in ${source}; add them or their identities`,
    );
  }
  const names = [...new Set(groups as string[])].sort();
  const numbers = new Map(names.map((name, g) => [name, g]));
  return { groups: Uint32Array.from(groups as string[], (group) => numbers.get(group)!), names };
}
