import { dirname } from 'node:path';

import { makeFolder, writeAtomically } from '../files.js';

/** Writes an evaluation as JSON to each of the files that is given, and says so. */
export function writeEvaluation(evaluation: object, ...files: readonly (string | undefined)[]): void {
  for (const file of files) {
    if (file === undefined) continue;
    makeFolder(dirname(file));
    writeAtomically(file, `${JSON.stringify(evaluation, null, 1)}\n`);
    process.stdout.write(`${file} written\n`);
  }
}
