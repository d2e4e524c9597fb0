/**
 * dist/serve-snapshot.cjs → dist/serve.blob, the start-up snapshot. A snapshot is good for one build of node on one
 * architecture: the node that runs this file is the one that will start from it, and it refuses any other's.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import { builtinModules } from 'node:module';
import { join, resolve } from 'node:path';
import { keepCodeOf } from './code-cache.ts';

/** The image gives node all of `serve`'s flags at once, `--allow-net` among them, which is unknown before. */
const FIRST_NODE_OF_THE_IMAGE = 25;

/** Modules that the bundle gets a stand-in for, because a snapshot cannot hold their state or is not verified to. */
const DEFERRED = [
  'async_hooks',
  'child_process',
  'dns',
  'dns/promises',
  'http',
  'http2',
  'https',
  'inspector',
  'module',
  'perf_hooks',
  'readline',
  'stream/consumers',
  'tls',
  'worker_threads',
];

const dist = resolve(process.argv[2] ?? join(import.meta.dirname, '../../dist'));
const blob = join(dist, 'serve.blob');

if (Number(process.versions.node.split('.')[0]) < FIRST_NODE_OF_THE_IMAGE) {
  throw new Error(
    `the image needs Node.js ${FIRST_NODE_OF_THE_IMAGE} or newer, and its base has ${process.version}: choose another BASE_IMAGE`,
  );
}

const { V8_FLAGS } = (await import(join(dist, 'boundary/reexec.js'))) as {
  readonly V8_FLAGS: readonly string[];
};
const { status, stderr, error } = spawnSync(
  process.execPath,
  [...V8_FLAGS, `--snapshot-blob=${blob}`, '--build-snapshot', join(dist, 'serve-snapshot.cjs')],
  {
    // A pipe: what the warm-up logs goes nowhere then.
    stdio: ['ignore', 'inherit', 'pipe'],
    // Nothing of the builder's environment is seen by code that the snapshot keeps.
    env: {
      BUILT_INS: JSON.stringify({
        names: builtinModules,
        deferred: DEFERRED,
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
// Of what is loaded after the start: all that the deferred modules load, but for what every process of node has.
const before = loadedBy([]);
const wanted = [...loadedBy(DEFERRED)].filter((name) => !before.has(name));
const smaller = keepCodeOf(readFileSync(blob), new Set(wanted));
if (smaller === undefined)
  process.stderr.write(
    `${process.version} writes another form of snapshot: it keeps code that is never used\n`,
  );
else writeFileSync(blob, smaller);
// Readable by the user of the container, whatever the builder and its umask were.
chmodSync(blob, 0o644);

/** Names of node's own modules that are loaded in a process which requires these. */
function loadedBy(modules: readonly string[]): Set<string> {
  const script = `for (const name of ${JSON.stringify(modules)}) require(name);
    console.log(JSON.stringify(process.moduleLoadList));`;
  const list = execFileSync(process.execPath, ['--no-warnings', '--eval', script], { encoding: 'utf8' });
  return new Set(
    (JSON.parse(list) as string[]).flatMap((entry) => /^NativeModule (.+)$/.exec(entry)?.[1] ?? []),
  );
}
