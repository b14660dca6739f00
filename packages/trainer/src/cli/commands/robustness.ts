import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda';
import { Option, type Command } from 'commander';

import type { BackendChoice } from '../../backend/index.js';
import type { CorruptionName } from '../../data/augment/corrupt.js';
import type { ImagePair } from '../../data/pairs.js';
import type { ImageLoader } from '../../evaluate/embed.js';
import type { TargetModel } from '../../evaluate/openTarget.js';
import { checkReportOutput } from '../../outputs.js';
import { rate, TARGET, wholeNumber } from '../options.js';
import { writeEvaluation } from '../writeEvaluation.js';

interface RobustnessFlags {
  data?: string;
  heldout?: number;
  pairs?: string;
  set?: string;
  count?: number;
  folds?: number;
  only?: string[];
  corrupt: 'both' | 'probe';
  far: number;
  attributes?: string;
  yawColumn: string;
  yawUnit: 'degrees' | 'radians';
  seed: number;
  batchSize: number;
  flip: boolean;
  backend?: BackendChoice;
  output?: string;
}

/** Yaw in degrees by path. */
async function openYaw(
  { attributes, yawColumn, yawUnit }: RobustnessFlags,
  log: (line: string) => void,
): Promise<((path: string) => number | undefined) | undefined> {
  if (attributes === undefined) return undefined;
  const { readGroups } = await import('../../data/groups.js');
  const { groupOf, source } = readGroups('--attributes', attributes, yawColumn);
  log(`yaw of ${source}, in ${yawUnit}`);
  return (path) => {
    const text = groupOf(path);
    if (text === undefined) return undefined;
    const yaw = Number(text);
    if (text.trim() !== '' && Number.isFinite(yaw)) return yawUnit === 'radians' ? (yaw * 180) / Math.PI : yaw;
    throw new HyperArcError('E_FORMAT', `--attributes: expected angles, received ${text} for ${path} in ${source}`);
  };
}

/** What is verified, clean. */
interface Subject extends Pick<TargetModel, 'model' | 'imageSize' | 'folder' | 'workers'> {
  readonly pairs: readonly ImagePair[];
  readonly load: ImageLoader;
  /** In words. */
  readonly data: string;
  close(): Promise<void> | void;
}

async function openSet(
  path: string,
  file: string,
  flags: RobustnessFlags,
  log: (line: string) => void,
): Promise<Subject> {
  const { openTargetModel } = await import('../../evaluate/openTarget.js');
  const { openVerificationSet } = await import('../../evaluate/index.js');
  const { pairs, load } = openVerificationSet(file, flags.folds === undefined ? {} : { folds: flags.folds });
  const target = await openTargetModel(path, { backend: flags.backend, log });
  return { ...target, pairs, load, data: file, close: () => void target.model.dispose() };
}

async function openImagesOfPairs(path: string, flags: RobustnessFlags, log: (line: string) => void): Promise<Subject> {
  const { openTarget } = await import('../../evaluate/openTarget.js');
  const { createImageLoader, makePairs, openImages, readPairs } = await import('../../data/index.js');
  const given = flags.pairs === undefined ? undefined : await readPairs(flags.pairs);
  const { data, heldout: heldOut, backend } = flags;
  const target = await openTarget(path, { data, heldOut, backend, log });
  const { root } = target.dataset;
  const { workers } = target;
  const loader = createImageLoader({ locate: await openImages(root), ...(workers !== undefined && { workers }) });
  const count = flags.count ?? target.pairs;
  const folds = flags.folds ?? target.folds;
  return {
    ...target,
    pairs: given ?? makePairs(target.dataset, { pairs: count, folds, seed: target.seed }),
    load: (paths, size) => loader.load(paths, size),
    data: given === undefined ? target.data : `${root}, pairs of ${flags.pairs}`,
    close: async () => {
      await loader.close();
      target.model.dispose();
    },
  };
}

async function runRobustness(path: string, flags: RobustnessFlags): Promise<void> {
  const { CorruptingLoader, evaluateRobustness, formatRobustness } = await import('../../evaluate/index.js');
  if (flags.output !== undefined) checkReportOutput('--output', flags.output, 'robustness evaluation');
  const { nearest } = await import('../../config/suggest.js');
  const { CORRUPTION_NAMES } = await import('../../data/augment/corrupt.js');
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  for (const name of flags.only ?? []) {
    if ((CORRUPTION_NAMES as readonly string[]).includes(name)) continue;
    const near = nearest(name, CORRUPTION_NAMES);
    const fix = near === undefined ? '' : `; did you mean ${near}?`;
    throw new HyperArcError(
      'E_RANGE',
      `--only: expected some of ${CORRUPTION_NAMES.join(', ')}, received ${name}${fix}`,
    );
  }
  const yawOf = await openYaw(flags, log);
  const { seed } = flags;
  const subject =
    flags.set === undefined ? await openImagesOfPairs(path, flags, log) : await openSet(path, flags.set, flags, log);
  const corrupting = new CorruptingLoader(subject.load, seed, subject.workers);
  try {
    const { model, pairs, imageSize, load, data } = subject;
    const robustness = await evaluateRobustness({
      model,
      pairs,
      imageSize,
      load,
      loadCorrupted: (name, severity) => corrupting.with(name, severity),
      data,
      seed,
      ...(flags.only && { corruptions: flags.only as CorruptionName[] }),
      corrupted: flags.corrupt,
      fmr: flags.far,
      batchSize: flags.batchSize,
      flip: flags.flip,
      ...(yawOf && { yawOf }),
      onProgress: (done, total, condition) => log(`${done}/${total} ${condition}`),
    });
    process.stdout.write(`${formatRobustness(robustness)}\n`);
    writeEvaluation(robustness, flags.output ?? (subject.folder && join(subject.folder, 'robustness.json')));
  } finally {
    await corrupting.close();
    await subject.close();
  }
}

/** `hyperarc robustness`. */
export function registerRobustnessCommand(program: Command): void {
  program
    .command('robustness')
    .description(
      'verification under blur, noise, JPEG, low light, low resolution, occlusion and masks of five severities, and by pose',
    )
    .argument('<run|model>', TARGET)
    .option('--data <folder>', 'image folder (default: the identities that the run held out)')
    .option('--heldout <n>', "identities of the folder set apart by the run's seed (default: all)", wholeNumber(0))
    .option('--pairs <file>', 'pairs to verify, as `hyperarc data pairs` writes them (default: drawn)')
    .addOption(
      new Option('--set <file>', 'verification set such as lfw.bin, instead of images and pairs').conflicts([
        'data',
        'heldout',
        'pairs',
        'count',
      ]),
    )
    .option('--count <n>', 'pairs to draw', wholeNumber(4))
    .option('--folds <n>', 'folds of the drawn pairs, or of the set (default: 10)', wholeNumber(2))
    .option('--only <names>', 'corruptions, separated by commas (default: all)', (text) => text.split(','))
    .addOption(
      new Option('--corrupt <which>', 'both images of a pair, or the second against a clean first')
        .choices(['both', 'probe'])
        .default('both'),
    )
    .option('--far <rate>', 'false match rate that sets the threshold on the clean images', rate, 1e-2)
    .option(
      '--attributes <file>',
      'CSV with a column path (in a set: lfw/12, image 12) and the yaw of each image: adds figures by pose',
    )
    .option('--yaw-column <name>', 'its column of angles', 'yaw')
    .addOption(new Option('--yaw-unit <unit>', 'of that column').choices(['degrees', 'radians']).default('degrees'))
    .option('--seed <n>', 'of the corruptions', wholeNumber(0), 1)
    .option('--batch-size <n>', 'images of one forward pass', wholeNumber(1), 64)
    .option('--no-flip', 'do not add the embedding of the mirrored image')
    .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm', 'cpu']))
    .option('-o, --output <file>', 'JSON file (default: robustness.json in the run folder, which the report shows)')
    .action(runRobustness);
}
