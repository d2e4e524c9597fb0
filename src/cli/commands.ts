import type { Commands } from './context.ts';

/**
 * The registry: one line a command. Help, completion and man pages are made from it. Each is loaded when it is called:
 * `get` does not pay for the isolation checks.
 */
export const COMMANDS: Commands = {
  serve: () => import('./serve.ts'),
  egress: () => import('./egress.ts'),
  check: () => import('./check.ts'),
  get: () => import('./get.ts'),
  watch: () => import('./watch.ts'),
  list: () => import('./list.ts'),
  status: () => import('./status.ts'),
  config: () => import('./config.ts'),
  'self-test': () => import('./self-test.ts'),
  inject: () => import('./inject.ts'),
  lint: () => import('./lint.ts'),
  profile: () => import('./profile.ts'),
  openshell: () => import('./openshell.ts'),
  completion: () => import('./completion.ts'),
  man: () => import('./man.ts'),
};
