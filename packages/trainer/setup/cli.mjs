#!/usr/bin/env node
// The set-up as an installed command: npx hyperarc-setup-tensorflow.
import { main } from './setup-tensorflow.mjs';

process.exitCode = await main(process.argv.slice(2));
