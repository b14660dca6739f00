import { readFileSync } from 'node:fs';

import {
  PartialFC,
  type DeviceSpec,
  type PartialFCBehaviour,
  type PartialFCOptions,
  type PartialFCState,
} from '@hyperarc/heads/engine';
import { HyperArcError } from '@hyperarc/kernels-cuda';
import { parse } from 'yaml';

import { checkMarginRecord } from '../checkpoint/marginRecord.js';
import type { TrainingState } from '../checkpoint/trainingState.js';
import type { Config } from '../config/index.js';
import { marginOf, type MarginFacts } from '../config/margin.js';
import type { ImageDataset } from '../data/index.js';
import { headShape } from './headShape.js';
import { checkOptimizerKind } from './optimizer.js';

type HeadConfig = Pick<Config, 'head' | 'backbone' | 'optimizer' | 'seed'>;

/**
 * Group of each identity, from a YAML or JSON file of `identity: group`.
 * @throws HyperArcError E_RANGE for a file that cannot be read, or an identity without a group that has a margin; E_FORMAT.
 */
function groupsOf({ identities }: ImageDataset, { parameters }: Config['head']): string[] {
  const { groups: path = '', margins = {} } = parameters ?? {};
  const name = 'head.parameters.groups';
  let byIdentity: unknown;
  try {
    byIdentity = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new HyperArcError('E_RANGE', `${name}: expected a YAML or JSON file, received ${path}; ${reason}`, { cause });
  }
  if (typeof byIdentity !== 'object' || byIdentity === null) {
    throw new HyperArcError('E_FORMAT', `${name}: expected identity: group in ${path}, received ${typeof byIdentity}`);
  }
  return identities.map((identity) => {
    const group = Object.hasOwn(byIdentity, identity) ? (byIdentity as Record<string, unknown>)[identity] : undefined;
    if (Object.hasOwn(margins, String(group))) return String(group);
    const expected = `one of the groups ${Object.keys(margins).join(', ')} for identity ${identity}`;
    throw new HyperArcError('E_RANGE', `${name}: expected ${expected}, received ${String(group)} in ${path}`);
  });
}

/** What margins take from the training data. */
function factsOf(config: HeadConfig, dataset: ImageDataset): MarginFacts {
  const counts = new Float64Array(dataset.identities.length);
  for (const label of dataset.labels) counts[label]! += 1;
  return { seed: config.seed, classes: counts.length, counts, groupNames: () => groupsOf(dataset, config.head) };
}

function behaviourOf(
  config: HeadConfig,
  dataset: ImageDataset,
): PartialFCBehaviour & Pick<PartialFCOptions, 'device' | 'kernels'> {
  const { rate, unsampled, kernels, device } = config.head;
  const margin = marginOf(config.head, factsOf(config, dataset));
  return { margin, rate, unsampled, device: device as DeviceSpec, kernels };
}

/** The class centres of a new run, in the engine. Errors: those of PartialFC, and E_RANGE for what its margin needs of the data. */
export function createHead(config: HeadConfig, dataset: ImageDataset): PartialFC {
  const shape = headShape(config, dataset.identities.length);
  return new PartialFC({ ...behaviourOf(config, dataset), ...shape, seed: config.seed });
}

/**
 * The class centres that `head.save` wrote.
 * @throws HyperArcError E_RANGE if the margin has other numbers than the checkpoint's, or if another optimizer moved them; E_FORMAT if they are not of this configuration, this
 *   margin and these classes; those of PartialFC.load.
 */
export async function loadHead(
  path: string,
  state: Pick<TrainingState, 'head' | 'margin'>,
  config: HeadConfig,
  dataset: ImageDataset,
): Promise<PartialFC> {
  const behaviour = behaviourOf(config, dataset);
  checkMarginRecord(behaviour.margin, state.margin);
  const head = await PartialFC.load(path, behaviour, state.head as PartialFCState);
  try {
    const { classes, subCenters, dim, precision, optimizer } = headShape(config, dataset.identities.length);
    const expected = `${[classes, subCenters, dim].join('×')} in ${precision}`;
    const received = `${head.centers.shape.join('×')} in ${head.centers.config.precision}`;
    if (received !== expected) {
      throw new HyperArcError('E_FORMAT', `${path}: expected class centres of ${expected}, received ${received}`);
    }
    checkOptimizerKind('optimizer.head.kind', optimizer, head.centers.config.optimizer);
    return head;
  } catch (error) {
    head.dispose();
    throw error;
  }
}
