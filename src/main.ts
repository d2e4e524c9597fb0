#!/usr/bin/env node
import type { Commands } from './cli/run.ts';
import { ExitCode } from './domain/errors.ts';
import { nodeComplaint } from './domain/node-version.ts';

/** Each is loaded when it is called: `get` does not pay for the isolation checks. */
const COMMANDS: Commands = {
  serve: () => import('./cli/serve.ts'),
  egress: () => import('./cli/egress.ts'),
  check: () => import('./cli/check.ts'),
  get: () => import('./cli/get.ts'),
  watch: () => import('./cli/watch.ts'),
  list: () => import('./cli/list.ts'),
  status: () => import('./cli/status.ts'),
  config: () => import('./cli/config.ts'),
  'self-test': () => import('./cli/self-test.ts'),
  inject: () => import('./cli/inject.ts'),
  lint: () => import('./cli/lint.ts'),
  profile: () => import('./cli/profile.ts'),
  openshell: () => import('./cli/openshell.ts'),
};

const complaint = nodeComplaint();
if (complaint === undefined) {
  const { run } = await import('./cli/run.ts');
  await run(process.argv.slice(2), COMMANDS);
} else {
  process.stderr.write(`secret-resolver: ${complaint}\n`);
  process.exitCode = ExitCode.usage;
}
