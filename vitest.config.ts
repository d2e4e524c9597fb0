import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { nodeComplaint } from './src/domain/node-version.ts';

const complaint = nodeComplaint();
if (complaint !== undefined) {
  process.stderr.write(`vitest: ${complaint}: run \`npm test\`, which uses the Node.js of node_modules\n`);
  process.exit(2);
}

/** Tests that measure times: they run apart from all others, one after the other. */
const QUIET = [
  'test/endurance/**/*.test.ts',
  'test/boundary/self-test-soak.test.ts',
  'test/observe/port-attacks.test.ts',
];

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'suite',
          include: ['{test,tools,examples}/**/*.test.ts'],
          exclude: QUIET,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'quiet', include: QUIET, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // On two cores too: a test waits for the processes that it started more than it works.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/gen/**'],
      reporter: ['text-summary', 'json-summary'],
      // In percent. The rooms that decide who gets what are tested at every branch that can be reached.
      thresholds: {
        'src/socket/p*.ts': { branches: 95 },
        'src/snapshot/**': { branches: 95 },
        'src/sources/**': { branches: 95 },
      },
    },
  },
});
