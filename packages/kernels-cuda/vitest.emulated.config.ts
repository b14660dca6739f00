/**
 * The CUDA engine's tests in the host harness: `npm run test:emulated`, after `node scripts/native.mjs emulated-addon`. HYPERARC_ADDON names
 * another emulated build. For one with AddressSanitizer its runtime must come first in the process, and V8's own leaks are none of ours:
 *   LD_PRELOAD=$(g++ -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 HYPERARC_ADDON=… npm run test:emulated
 */
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vitest/config';

import base from './vitest.config.js';

const built = fileURLToPath(new URL('../../native/build-emulated/Release/hyperarc.node', import.meta.url));

export default mergeConfig(
  base,
  defineConfig({
    test: {
      // vitest adds to the base's list of files: leave out what needs no CUDA.
      exclude: ['test/{binding,contract,ops,reference,wasm}/**'],
      maxWorkers: 2,
      env: { HYPERARC_ADDON: process.env['HYPERARC_ADDON'] ?? built, HYPERARC_REQUIRE_CUDA: '1' },
    },
  }),
);
