import { dirname } from 'node:path';
import type { Command } from 'commander';

import { makeFolder, writeAtomically } from '../../files.js';
import { checkReportOutput } from '../../outputs.js';

async function runCompare(runs: string[], { output }: { output: string }): Promise<void> {
  checkReportOutput('--output', output, 'comparison');
  const { compareRuns, formatComparison, renderComparison } = await import('../../compare/index.js');
  const comparison = compareRuns(runs);
  process.stdout.write(`${formatComparison(comparison)}\n`);
  makeFolder(dirname(output));
  writeAtomically(output, renderComparison(comparison, new Date().toISOString()));
  process.stdout.write(`${output} written\n`);
}

/** `hyperarc compare`. */
export function registerCompareCommand(program: Command): void {
  program
    .command('compare')
    .description('lay runs side by side: what differs in their configurations, their figures, loss and ROC curves')
    .argument('<runs...>', 'run folders, two to five')
    .option('-o, --output <file>', 'HTML page', 'compare.html')
    .action(runCompare);
}
