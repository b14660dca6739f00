import { readFileSync } from 'node:fs';

import { HyperArcError } from '@hyperarc/kernels-cuda';
import { Command, CommanderError } from 'commander';

import { registerCompareCommand } from './commands/compare.js';
import { registerDataCommand } from './commands/data.js';
import { registerDoctorCommand } from './commands/doctor.js';
import { registerEmbedCommand } from './commands/embed.js';
import { registerEvaluateCommand } from './commands/evaluate.js';
import { registerEvaluateIjbCommand } from './commands/evaluateIjb.js';
import { registerEvaluateMegaFaceCommand } from './commands/evaluateMegaFace.js';
import { registerFairnessCommand } from './commands/fairness.js';
import { registerHeadsCommand } from './commands/heads.js';
import { registerRecipesCommand } from './commands/recipes.js';
import { registerExportCommand } from './commands/export.js';
import { registerImportCommand } from './commands/import.js';
import { registerReportCommand } from './commands/report.js';
import { registerRobustnessCommand } from './commands/robustness.js';
import { registerStartCommand } from './commands/start.js';
import { registerSummaryCommand } from './commands/summary.js';
import { registerSynthCommand } from './commands/synth.js';
import { registerTrainCommand } from './commands/train.js';
import { EXIT } from './exitCodes.js';

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** The whole command line. Actions load TensorFlow.js only when they run, so that `--help` is quick. */
export function createProgram(): Command {
  const program = new Command('hyperarc')
    .description('Trains and evaluates large-identity face recognition models.')
    .version(version())
    .showSuggestionAfterError()
    .exitOverride();
  registerStartCommand(program);
  registerTrainCommand(program);
  registerEvaluateCommand(program);
  registerEvaluateIjbCommand(program);
  registerEvaluateMegaFaceCommand(program);
  registerFairnessCommand(program);
  registerRobustnessCommand(program);
  registerRecipesCommand(program);
  registerEmbedCommand(program);
  registerExportCommand(program);
  registerImportCommand(program);
  registerReportCommand(program);
  registerCompareCommand(program);
  registerSummaryCommand(program);
  registerHeadsCommand(program);
  registerSynthCommand(program);
  registerDataCommand(program);
  registerDoctorCommand(program);
  return program;
}

/** A refusal of the operating system, such as a full disk: its message says all, a stack would bury it. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

/**
 * Runs one command line (without `node` and the script).
 * @returns the process's exit code; an action that wants another one than 0 sets process.exitCode.
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof HyperArcError || isSystemError(error)) {
      process.stderr.write(`hyperarc: ${error.message}\n`);
    } else {
      process.stderr.write(`hyperarc: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    }
    return EXIT.failed;
  }
}
