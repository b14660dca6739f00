/** Training on the CUDA engine in the host harness; see packages/kernels-cuda/vitest.emulated.config.ts. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = fileURLToPath(new URL('../../native/build-emulated/Release/hyperarc.node', import.meta.url));

export default defineConfig({
  test: {
    include: ['test/train/train.test.ts'],
    pool: 'forks',
    env: {
      FORCE_COLOR: '0',
      HYPERARC_ADDON: process.env['HYPERARC_ADDON'] ?? built,
      HYPERARC_TEST_DEVICE: 'cuda:0',
    },
    testTimeout: 120_000,
    hookTimeout: 240_000,
  },
});
