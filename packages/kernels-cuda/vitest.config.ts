import { defineConfig } from 'vitest/config';

export default defineConfig({
  // nx asks its children for colours, and programs that tests start would colour the numbers they print.
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: '100%', // Vitest would leave one core out, which of two is half
    env: { FORCE_COLOR: '0' },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
