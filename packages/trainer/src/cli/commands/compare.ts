import type { Command } from 'commander';

async function runCompare(runs: string[], { output }: { output: string }): Promise<void> {
  const [{ compareRuns, formatComparison, renderComparison }, { writeAtomically }] = await Promise.all([
    import('../../compare/index.js'),
    import('../../files.js'),
  ]);
  const comparison = compareRuns(runs);
  process.stdout.write(`${formatComparison(comparison)}\n`);
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
