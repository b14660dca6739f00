import { HyperArcError } from '@hyperarc/kernels-cuda';
import type { Command } from 'commander';

import { formatConfig, loadConfig } from '../../config/index.js';

interface TrainFlags {
  dryRun?: boolean;
  resume?: string;
}

async function runTrain(config: string | undefined, overrides: string[], flags: TrainFlags): Promise<void> {
  if (config === undefined) {
    throw new HyperArcError('E_RANGE', 'CONFIG: expected a YAML file, received nothing; or give --resume RUN');
  }
  const resolved = loadConfig(config, overrides);
  if (flags.dryRun === true) process.stdout.write(formatConfig(resolved));
}

/** `hyperarc train`. */
export function registerTrainCommand(program: Command): void {
  program
    .command('train')
    .description('train a backbone and its class centres')
    .argument('[config]', 'YAML configuration')
    .argument('[overrides...]', 'key=value, such as training.epochs=3')
    .option('--dry-run', 'print the resolved configuration, the model and the memory plan, and stop')
    .option('--resume <run>', 'go on with a run folder from its newest checkpoint')
    .action(runTrain);
}
