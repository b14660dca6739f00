import { defineConfig } from 'vitest/config';

/** Tests of the repository as a whole: packed packages in a stranger's project, and every example. */
export default defineConfig({
  // nx asks its children for colours, and programs that tests start would colour the numbers they print.
  test: {
    include: ['**/*.test.ts'],
    pool: 'forks',
    env: { FORCE_COLOR: '0' },
    testTimeout: 300_000,
    hookTimeout: 300_000,
    fileParallelism: false,
  },
});
