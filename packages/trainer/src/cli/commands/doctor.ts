import type { Command } from 'commander';

import { EXIT } from '../exitCodes.js';

/** `hyperarc doctor`: exits with 1 only when training could not run. */
export function registerDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('show what this machine has for building and training, and how to mend what is missing')
    .option('--json', 'print the findings as JSON')
    .action(async (options: { json?: boolean }) => {
      const { gatherFacts } = await import('../../doctor/facts.js');
      const { formatFindings, judge } = await import('../../doctor/findings.js');
      const findings = judge(gatherFacts());
      console.log(options.json === true ? JSON.stringify(findings, null, 2) : formatFindings(findings));
      if (findings.some((finding) => finding.level === 'fail')) process.exitCode = EXIT.failed;
    });
}
