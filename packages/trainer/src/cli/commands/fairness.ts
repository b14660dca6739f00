import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda';
import { InvalidArgumentError, Option, type Command } from 'commander';

import type { BackendChoice } from '../../backend/index.js';
import type { ImagePair } from '../../data/pairs.js';
import type { ImageLoader } from '../../evaluate/embed.js';
import type { FairnessOptions, GroupsOf } from '../../evaluate/fairness/index.js';
import type { TargetModel } from '../../evaluate/openTarget.js';
import { checkReportOutput } from '../../outputs.js';
import { numberFrom, rate, TARGET, wholeNumber } from '../options.js';
import { writeEvaluation } from '../writeEvaluation.js';

interface FairnessFlags {
  groups: string;
  column?: string;
  edges?: number[];
  pairs?: string;
  set?: string;
  data?: string;
  heldout?: number;
  limit: number;
  far: number;
  threshold?: number;
  alpha: number;
  replicates: number;
  seed: number;
  batchSize: number;
  flip: boolean;
  backend?: BackendChoice;
  output?: string;
}

function number(text: string): number {
  if (text.trim() === '' || !Number.isFinite(Number(text))) throw new InvalidArgumentError('Expected a number.');
  return Number(text);
}

function increasing(text: string): number[] {
  const edges = text.split(',').map(number);
  if (edges.some((edge, i) => i > 0 && edge <= edges[i - 1]!))
    throw new InvalidArgumentError('Expected increasing numbers.');
  return edges;
}

/** What is verified, and the groups in it. */
interface Subject extends Pick<TargetModel, 'model' | 'imageSize' | 'folder'> {
  readonly pairs: readonly ImagePair[];
  readonly load: ImageLoader;
  /** In words. */
  readonly data: string;
  /** Where the groups come from, their order, and which images or pairs are of them. */
  readonly grouping: Pick<FairnessOptions, 'groupSource' | 'order' | 'identityOf' | 'people'> & GroupsOf;
  close(): Promise<void> | void;
}

async function openSet(
  path: string,
  file: string,
  flags: FairnessFlags,
  log: (line: string) => void,
): Promise<Subject> {
  const { openTargetModel } = await import('../../evaluate/openTarget.js');
  const { openVerificationSet, readSetGroups } = await import('../../evaluate/index.js');
  const { binGroups } = await import('../../data/index.js');
  const { pairs, load } = openVerificationSet(file, { folds: 'none' });
  // Before the backend starts: most mistakes are in the file of groups.
  const { by, identityOf, people, ...read } = readSetGroups('--groups', flags.groups, flags.column, pairs);
  const target = await openTargetModel(path, { backend: flags.backend, log });
  const {
    source: groupSource,
    order,
    groupOf,
  } = flags.edges === undefined ? read : binGroups('--edges', read, flags.edges);
  return {
    ...target,
    pairs,
    load,
    data: file,
    grouping: {
      groupSource,
      order,
      identityOf,
      people,
      ...(by === 'image' ? { groupOf } : { groupOfPair: (pair: number) => groupOf(String(pair)) }),
    },
    close: () => void target.model.dispose(),
  };
}

async function openImagesOfPairs(path: string, flags: FairnessFlags, log: (line: string) => void): Promise<Subject> {
  const { openTarget } = await import('../../evaluate/openTarget.js');
  const { groupPairs } = await import('../../evaluate/index.js');
  const { binGroups, createImageLoader, openImages, readGroups, readPairs } = await import('../../data/index.js');
  const read = readGroups('--groups', flags.groups, flags.column);
  const groups = flags.edges === undefined ? read : binGroups('--edges', read, flags.edges);
  const given = flags.pairs === undefined ? undefined : await readPairs(flags.pairs);
  const { data, heldout: heldOut, backend, limit, seed } = flags;
  const target = await openTarget(path, { data, heldOut, backend, log });
  const { dataset, workers } = target;
  const loader = createImageLoader({
    locate: await openImages(dataset.root),
    ...(workers !== undefined && { workers }),
  });
  const close = async (): Promise<void> => {
    await loader.close();
    target.model.dispose();
  };
  try {
    const pairs = given ?? groupPairs(dataset, groups.groupOf, { limit, seed });
    if (pairs.length === 0) {
      const { source } = groups;
      throw new HyperArcError(
        'E_RANGE',
        `--groups: expected groups of the images, received none for any of ${target.data} in ${source}`,
      );
    }
    const without = dataset.labels.filter((_, index) => groups.groupOf(dataset.nameOf(index)) === undefined).length;
    if (given === undefined && without > 0) log(`${without} images without a group left out`);
    return {
      ...target,
      pairs,
      load: (paths, size) => loader.load(paths, size),
      data: given === undefined ? target.data : `${dataset.root}, pairs of ${flags.pairs}`,
      grouping: { groupSource: groups.source, order: groups.order, groupOf: groups.groupOf },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function runFairness(path: string, flags: FairnessFlags): Promise<void> {
  const { embedImages, evaluateFairness, formatFairness, imagesOfPairs, pairSimilarities } =
    await import('../../evaluate/index.js');
  if (flags.output !== undefined) checkReportOutput('--output', flags.output, 'fairness evaluation');
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const subject =
    flags.set === undefined ? await openImagesOfPairs(path, flags, log) : await openSet(path, flags.set, flags, log);
  try {
    const { model, pairs, imageSize, load, data, grouping, folder } = subject;
    const output = flags.output ?? (folder && join(folder, 'fairness.json'));
    const embeddings = await embedImages(model, imagesOfPairs(pairs), {
      imageSize,
      load,
      batchSize: flags.batchSize,
      flip: flags.flip,
      onProgress: (done, total) => done === total && log(`${total} images embedded`),
    });
    const fairness = evaluateFairness({
      pairs,
      similarities: pairSimilarities(embeddings, pairs),
      ...grouping,
      data,
      fmr: flags.far,
      ...(flags.threshold !== undefined && { threshold: flags.threshold }),
      alpha: flags.alpha,
      replicates: flags.replicates,
      seed: flags.seed,
    });
    process.stdout.write(`${formatFairness(fairness)}\n`);
    writeEvaluation(fairness, output);
  } finally {
    await subject.close();
  }
}

/** `hyperarc fairness`. */
export function registerFairnessCommand(program: Command): void {
  program
    .command('fairness')
    .description('error rates of each group of people at one threshold, how unequal they are, and bootstrap intervals')
    .argument('<run|model>', TARGET)
    .requiredOption(
      '--groups <file>',
      'YAML or JSON of `identity: group`, or CSV with a column `path` or `identity`; of a set: CSV with `pair` or `image`',
    )
    .option('--column <name>', 'CSV: column of the groups (default: the one after the key)')
    .option('--edges <numbers>', 'cut a column of numbers into groups, such as 0.3,0.6', increasing)
    .option('--data <folder>', 'image folder (default: the identities that the run held out)')
    .option('--heldout <n>', "identities of the folder set apart by the run's seed (default: all)", wholeNumber(0))
    .option('--pairs <file>', 'pairs, as `hyperarc data pairs` writes them (default: all within groups, up to --limit)')
    .addOption(
      new Option('--set <file>', 'verification set such as lfw.bin, instead of images and pairs').conflicts([
        'data',
        'heldout',
        'pairs',
        'limit',
      ]),
    )
    .option('--limit <n>', 'most pairs of each kind in a group', wholeNumber(1), 100_000)
    .option('--far <rate>', 'false match rate over all pairs that sets the threshold', rate, 1e-3)
    .option('--threshold <cosine>', 'the threshold itself, instead', numberFrom(-1, 1))
    .option('--alpha <weight>', 'weight of FMR against FNMR in the measures', numberFrom(0, 1), 0.5)
    .option('--replicates <n>', 'of the bootstrap', wholeNumber(1), 1000)
    .option('--seed <n>', 'of drawing pairs and of the bootstrap', wholeNumber(0), 1)
    .option('--batch-size <n>', 'images of one forward pass', wholeNumber(1), 64)
    .option('--no-flip', 'do not add the embedding of the mirrored image')
    .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm', 'cpu']))
    .option('-o, --output <file>', 'JSON file (default: fairness.json in the run folder)')
    .action(runFairness);
}
