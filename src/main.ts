#!/usr/bin/env node
import { type Commands, run } from './run.ts';

/** Loaded one at a time: `serve` never pays for the demo, nor `get` for the isolation checks. */
const COMMANDS: Commands = {
  serve: () => import('./commands/serve.ts'),
  check: () => import('./commands/check.ts'),
  get: () => import('./commands/get.ts'),
  watch: () => import('./commands/watch.ts'),
  list: () => import('./commands/list.ts'),
  status: () => import('./commands/status.ts'),
  config: () => import('./commands/config.ts'),
  demo: () => import('./commands/demo.ts'),
  probe: () => import('./commands/probe.ts'),
  inject: () => import('./commands/inject.ts'),
  lint: () => import('./commands/lint.ts'),
  profile: () => import('./commands/profile.ts'),
};

await run(process.argv.slice(2), COMMANDS);
