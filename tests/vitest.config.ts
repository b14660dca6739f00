import { defineConfig } from 'vitest/config';

/** Tests of the repository as a whole: packed packages in a stranger's project, and every example. */
export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    pool: 'forks',
    testTimeout: 300_000,
    hookTimeout: 300_000,
    fileParallelism: false,
  },
});
