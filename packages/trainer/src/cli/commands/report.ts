import type { Command } from 'commander';

import { checkReportOutput } from '../../outputs.js';

async function runReport(folder: string, flags: { output?: string }): Promise<void> {
  if (flags.output !== undefined) checkReportOutput('--output', flags.output, 'report');
  const { RunFolder } = await import('../../train/runFolder.js');
  const { writeReport } = await import('../../report/index.js');
  const run = RunFolder.open(folder);
  const path = await writeReport({ runFolder: run.path, ...(flags.output !== undefined && { output: flags.output }) });
  process.stdout.write(`${path} written\n`);
}

/** `hyperarc report`. */
export function registerReportCommand(program: Command): void {
  program
    .command('report')
    .description('write a self-contained HTML report of a run: training curves, verification, worst pairs')
    .argument('<run>', 'run folder')
    .option('-o, --output <file>', 'HTML file (default: report.html in the run folder)')
    .action(runReport);
}
