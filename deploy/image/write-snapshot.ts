/**
 * dist/serve-snapshot.cjs → dist/serve.blob, the start-up snapshot. A snapshot is good for one build of node on one
 * architecture: the node that runs this file is the one that will start from it, and it refuses any other's.
 */
import { execFileSync } from 'node:child_process';
import http from 'node:http';
import http2 from 'node:http2';
import { builtinModules } from 'node:module';
import { join } from 'node:path';

const dist = process.argv[2] ?? join(import.meta.dirname, '../../dist');

execFileSync(
  process.execPath,
  [
    // V8's own: a snapshot is written under the flags that it is started with, or its compiled code is thrown away.
    '--disallow-code-generation-from-strings',
    `--snapshot-blob=${join(dist, 'serve.blob')}`,
    '--build-snapshot',
    join(dist, 'serve-snapshot.cjs'),
  ],
  {
    stdio: 'inherit',
    env: {
      BUILT_INS: JSON.stringify({
        names: builtinModules,
        constants: {
          http: { METHODS: http.METHODS, STATUS_CODES: http.STATUS_CODES },
          http2: { constants: http2.constants },
          worker_threads: { isMainThread: true },
        },
      }),
    },
  },
);
