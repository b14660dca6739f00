import { join } from 'node:path';
import { HyperArcError } from '@hyperarc/kernels-cuda';
import { Option, type Command } from 'commander';

import type { BackendChoice } from '../../backend/index.js';
import { checkReportOutput } from '../../outputs.js';
import { TARGET, wholeNumber } from '../options.js';

interface EvaluateFlags {
  data?: string;
  pairs?: string;
  set?: string[];
  heldout?: number;
  count?: number;
  folds?: number;
  seed?: number;
  batchSize?: number;
  flip: boolean;
  backend?: BackendChoice;
  output?: string;
}

const append = (value: string, before: string[] = []): string[] => [...before, value];

/** The keys that were given, so that the rest keep their defaults. */
function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

async function runEvaluate(target: string, flags: EvaluateFlags): Promise<void> {
  const { findTrained } = await import('../../train/trainedModel.js');
  const { evaluateCheckpoint, evaluateModelFolder, evaluateRun } = await import('../../evaluate/evaluateRun.js');
  const { formatEvaluation } = await import('../../evaluate/evaluation.js');
  const { writeEvaluation } = await import('../writeEvaluation.js');
  if (flags.output !== undefined) checkReportOutput('--output', flags.output, 'evaluation');
  const trained = findTrained(target);
  const { data: root, pairs: pairsFile, set: sets, heldout: heldOut, count: pairs, folds, seed } = flags;
  const source = given({ root, pairsFile, sets, heldOut, pairs, folds, setFolds: folds, seed });
  const settings = {
    ...given({ backend: flags.backend, batchSize: flags.batchSize }),
    flip: flags.flip,
    log: (line: string) => void process.stderr.write(`${line}\n`),
  };
  if (trained.kind === 'run') {
    const evaluation = await evaluateRun(trained.run, source, settings);
    process.stdout.write(`${formatEvaluation(evaluation)}\n${join(trained.run.path, 'evaluation.json')} written\n`);
    writeEvaluation(evaluation, flags.output);
    return;
  }
  if (trained.kind === 'model' && root === undefined && sets === undefined) {
    const message = '--data: expected an image folder to evaluate a model on, received none; or give --set lfw.bin';
    throw new HyperArcError('E_RANGE', message);
  }
  const evaluateFolder = trained.kind === 'model' ? evaluateModelFolder : evaluateCheckpoint;
  const evaluation = await evaluateFolder(target, source, settings);
  process.stdout.write(`${formatEvaluation(evaluation)}\n`);
  writeEvaluation(evaluation, flags.output);
}

/** `hyperarc evaluate`. */
export function registerEvaluateCommand(program: Command): void {
  program
    .command('evaluate')
    .description('verify pairs of images: 10-fold accuracy, VAL, TAR at FAR, AUC, EER')
    .argument('<run|model>', TARGET)
    .option('--data <folder>', 'image folder (default: the identities that the run held out)')
    .option('--pairs <file>', "pairs to verify: LFW's pairs.txt, or lines `a b 0|1 [fold]` (default: drawn)")
    .option('--set <file>', 'verification set such as lfw.bin; may be given again', append)
    .option('--heldout <n>', 'draw pairs of n identities set apart by the seed (default: of all)', wholeNumber(0))
    .option('--count <n>', 'pairs to draw', wholeNumber(4))
    .option('--folds <n>', 'folds of drawn pairs, of lists that name none, and of sets (default: 10)', wholeNumber(2))
    .option('--seed <n>', 'seed of drawing and setting apart', wholeNumber(0))
    .option('--batch-size <n>', 'images of one forward pass', wholeNumber(1))
    .option('--no-flip', 'do not add the embedding of the mirrored image')
    .addOption(new Option('--backend <name>', 'tfjs backend').choices(['auto', 'tensorflow', 'wasm', 'cpu']))
    .option('-o, --output <file>', 'also write the evaluation to this JSON file')
    .action(runEvaluate);
}
