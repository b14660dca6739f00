#!/usr/bin/env node
import { endWithOutput } from '../dist/cli/closedOutput.js';
import { main } from '../dist/cli/main.js';

endWithOutput();
process.exitCode = await main(process.argv.slice(2));
