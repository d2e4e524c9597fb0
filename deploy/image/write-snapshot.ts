/**
 * dist/serve-snapshot.cjs → dist/serve.blob, the start-up snapshot. A snapshot is good for one build of node on one
 * architecture: the node that runs this file is the one that will start from it, and it refuses any other's.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { builtinModules } from 'node:module';
import { join } from 'node:path';

/** The image gives node all of `serve`'s flags at once, `--allow-net` among them, which is unknown before. */
const FIRST_NODE_OF_THE_IMAGE = 25;

const dist = process.argv[2] ?? join(import.meta.dirname, '../../dist');
const blob = join(dist, 'serve.blob');

if (Number(process.versions.node.split('.')[0]) < FIRST_NODE_OF_THE_IMAGE) {
  throw new Error(
    `the image needs Node.js ${FIRST_NODE_OF_THE_IMAGE} or newer, and its base has ${process.version}: choose another BASE_IMAGE`,
  );
}

const { status, stderr, error } = spawnSync(
  process.execPath,
  [
    // V8's own: a snapshot is written under the flags that it is started with, or its compiled code is thrown away.
    '--disallow-code-generation-from-strings',
    `--snapshot-blob=${blob}`,
    '--build-snapshot',
    join(dist, 'serve-snapshot.cjs'),
  ],
  {
    // A pipe: what the warm-up logs goes nowhere then.
    stdio: ['ignore', 'inherit', 'pipe'],
    // Nothing of the builder's environment is seen by code that the snapshot keeps.
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
if (error !== undefined) throw error;
process.stderr.write(stderr);
if (status !== 0) throw new Error(`node wrote no start-up snapshot: it ended with ${status}`);
// Whoever built it, and under whatever umask: the user of the container reads it.
chmodSync(blob, 0o644);
