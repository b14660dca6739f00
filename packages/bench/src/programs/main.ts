/** A case's child process: nothing is loaded here that the case does not use, so that its memory is its own. */
import type { ProgramSpec } from '../protocol.js';
import { hostProgram } from './host.js';

await hostProgram(JSON.parse(process.argv[2]!) as ProgramSpec);
