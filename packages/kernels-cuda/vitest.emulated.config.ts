/**
 * The CUDA engine's tests in the host harness: `npm run test:emulated -w packages/kernels-cuda`, after `node scripts/native.mjs emulated-addon`.
 * HYPERARC_ADDON names another build. For one with AddressSanitizer (HYPERARC_SANITIZE=address; UBSan objects to node-addon-api itself) its
 * runtime must come first in the process, and what Node itself never frees is none of ours:
 *   LD_PRELOAD=$(g++ -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 HYPERARC_ADDON=… npm run test:emulated -w packages/kernels-cuda
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = fileURLToPath(new URL('../../native/build-emulated/Release/hyperarc.node', import.meta.url));

export default defineConfig({
  test: {
    include: [
      'test/cuda/**/*.test.ts',
      'test/binding/{bad-input,file,hostile,margin,memory,operations,states,workers}.test.ts',
      'test/ops/margin-softmax.test.ts',
    ],
    pool: 'forks',
    maxWorkers: 2,
    env: {
      FORCE_COLOR: '0',
      HYPERARC_ADDON: process.env['HYPERARC_ADDON'] ?? built,
      HYPERARC_REQUIRE_CUDA: '1',
      HYPERARC_TEST_DEVICE: 'cuda:0',
    },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
