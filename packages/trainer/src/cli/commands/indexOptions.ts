import { HyperArcError } from '@hyperarc/kernels-cuda';
import { InvalidArgumentError, Option, type Command } from 'commander';

import type { DistractorIndex } from '../../evaluate/megaface/searchDistractors.js';
import { wholeNumber } from '../options.js';

/** The flags that {@link addIndexOptions} adds. */
export interface IndexFlags {
  index?: 'ivf';
  lists?: number;
  listsPerProbe?: number;
  recall?: number;
  recallProbes?: number;
  indexSeed?: number;
}

/** Approximate search: `--index`, and what goes with it. */
export function addIndexOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--index <kind>',
        'search approximately: each probe in the nearest of the lists that k-means sorts the gallery into, with the recall measured',
      ).choices(['ivf']),
    )
    .option('--lists <n>', 'lists of the index (default: square root of the gallery)', wholeNumber(1))
    .option('--lists-per-probe <n>', 'lists in which each probe is searched for, instead of --recall', wholeNumber(1))
    .option(
      '--recall <share>',
      'as few lists a probe as find this share of the exact nearest, by the lower bound (default: 0.99)',
      share,
    )
    .option('--recall-probes <n>', 'probes searched exactly too, for the recall (default: 500)', wholeNumber(1))
    .option('--index-seed <n>', 'seed of the index and of the choice of those probes (default: 0)', wholeNumber(0));
}

function share(text: string): number {
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : NaN;
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('Expected a number in (0, 1].');
  return value;
}

/** The index that was asked for. @throws HyperArcError E_RANGE for flags of an index without one. */
export function indexFrom(flags: IndexFlags): DistractorIndex | undefined {
  const { index, lists, listsPerProbe, recall, recallProbes, indexSeed } = flags;
  const given = Object.entries({
    '--lists': lists,
    '--lists-per-probe': listsPerProbe,
    '--recall': recall,
    '--recall-probes': recallProbes,
    '--index-seed': indexSeed,
  }).find(([, value]) => value !== undefined);
  if (index === undefined) {
    if (given === undefined) return undefined;
    throw new HyperArcError('E_RANGE', `${given[0]}: expected --index ivf beside it, received none; add it`);
  }
  if (listsPerProbe !== undefined && recall !== undefined) {
    throw new HyperArcError(
      'E_RANGE',
      '--recall: expected none beside --lists-per-probe, received both; leave one of them out',
    );
  }
  return {
    ...(lists !== undefined && { lists }),
    ...(listsPerProbe !== undefined && { listsPerProbe }),
    ...(recall !== undefined && { recall }),
    ...(recallProbes !== undefined && { checked: recallProbes }),
    ...(indexSeed !== undefined && { seed: indexSeed }),
  };
}
