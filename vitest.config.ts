import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/gen/**'],
      reporter: ['text-summary', 'json-summary'],
      // In percent. The rooms that decide who gets what are tested at every branch that can be reached.
      thresholds: {
        'src/access/**': { branches: 95 },
        'src/resolve/**': { branches: 95 },
        'src/volume/**': { branches: 95 },
      },
    },
  },
});
