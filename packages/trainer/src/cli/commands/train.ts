import { HyperArcError } from '@hyperarc/kernels-cuda';
import type { Command } from 'commander';

import { loadConfig, loadRequest, resumeDifferences, withBatchSize, type Config } from '../../config/index.js';
import { trainingExit } from '../exitCodes.js';

interface TrainFlags {
  dryRun?: boolean;
  resume?: string;
  fallBack?: boolean;
}

/**
 * The configuration of a resumed run: its own, or the file given, with overrides. A `training.batchSize: auto` is the run's number.
 * @throws HyperArcError E_RANGE listing the keys that would make it another run.
 */
function resumedConfig(path: string | undefined, overrides: readonly string[], runConfigPath: string): Config {
  const was = loadConfig(runConfigPath);
  const request = loadRequest(path ?? runConfigPath, overrides);
  const { batchSize } = request.training;
  const now = withBatchSize(request, batchSize === 'auto' ? was.training.batchSize : batchSize);
  const differences = resumeDifferences(was, now);
  if (differences.length > 0) {
    throw new HyperArcError(
      'E_RANGE',
      `--resume: expected the configuration of ${runConfigPath}, received another; take these back, or start a new run, from its weights with backbone.weights=RUN head.weights=RUN\n  ${differences.join('\n  ')}`,
    );
  }
  return now;
}

/** The configuration of a new run; finding what `auto` stands for takes a trial. */
async function newConfig(path: string, overrides: readonly string[]): Promise<Config> {
  const request = loadRequest(path, overrides);
  const { batchSize } = request.training;
  if (batchSize !== 'auto') return withBatchSize(request, batchSize);
  const { settleBatchSize } = await import('../../train/autoBatch.js');
  return settleBatchSize(request, (line) => void process.stdout.write(`${line}\n`));
}

async function runTrain(first: string | undefined, rest: string[], flags: TrainFlags): Promise<void> {
  // With --resume no file is needed, and the first argument may be an override.
  const isFile = first !== undefined && !first.includes('=');
  const overrides = first === undefined || isFile ? rest : [first, ...rest];
  const path = isFile ? first : undefined;
  if (path === undefined && flags.resume === undefined) {
    throw new HyperArcError('E_RANGE', 'CONFIG: expected a YAML file, received none; or give --resume RUN');
  }
  const { RunFolder } = await import('../../train/runFolder.js');
  const resumed = flags.resume === undefined ? undefined : RunFolder.open(flags.resume);
  const config = resumed ? resumedConfig(path, overrides, resumed.configPath) : await newConfig(path!, overrides);
  if (flags.dryRun === true) {
    const { describeRun } = await import('../dryRun.js');
    process.stdout.write(await describeRun(config));
    return;
  }
  const { runTraining } = await import('../runTraining.js');
  process.exitCode = trainingExit(await runTraining(config, resumed, flags.fallBack === true));
}

/** `hyperarc train`. */
export function registerTrainCommand(program: Command): void {
  program
    .command('train')
    .description('train a backbone and its class centres')
    .argument('[config]', 'YAML configuration, or the name of a recipe (hyperarc recipes); not needed with --resume')
    .argument('[overrides...]', 'key=value, such as training.epochs=3; null unsets a key')
    .option('--dry-run', 'print the resolved configuration, the model and the memory plan, and stop')
    .option('--resume <run>', 'go on with a run folder from its newest checkpoint')
    .option('--fall-back', 'with --resume: pass over damaged checkpoints to the newest whole one')
    .action(runTrain);
}
