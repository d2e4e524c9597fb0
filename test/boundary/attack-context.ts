import type { RunOptions } from '../../src/boundary/attacks/runner.ts';

/** A self-test that knows of no Secret, no call and no socket. */
export const NOTHING_KNOWN: RunOptions['context'] = {
  socketPath: '/nonexistent/resolver.sock',
  otherSockets: [],
  secretsRoot: '/nonexistent/secrets',
  secrets: [],
  resolverUid: undefined,
  rpcs: [],
  allowedMounts: [],
  searchPaths: [],
  realSignals: false,
  env: {},
};
