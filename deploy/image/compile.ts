/**
 * dist/serve.cjs → dist/serve.cache, its code as V8 compiles it, and so for each file of the bundle: all that ran until
 * `serve` had served one rotation of an example. Run by the node that will start from it; to any other it is of no use.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Script } from 'node:vm';

/** `--allow-net`, one of `serve`'s flags, is unknown before 25; nothing before 26 was tried. */
const FIRST_NODE_OF_THE_IMAGE = 26;
const TIMEOUT_MS = 60_000;

if (Number(process.versions.node.split('.')[0]) < FIRST_NODE_OF_THE_IMAGE) {
  throw new Error(
    `the image needs Node.js ${FIRST_NODE_OF_THE_IMAGE} or newer, and its base has ${process.version}: choose another BASE_IMAGE`,
  );
}

const dist = resolve(process.argv[2] ?? join(import.meta.dirname, '../../dist'));
const { connect } = (await import(
  join(dist, 'client/index.js')
)) as typeof import('../../src/client/index.ts');
const folder = mkdtempSync(join(tmpdir(), 'compile-'));
const at = (...path: string[]) => join(folder, ...path);
const volume = at('secrets/example/example');

/** As kubelet writes it. */
function writeSecret(generation: string): void {
  mkdirSync(join(volume, generation), { recursive: true });
  writeFileSync(join(volume, generation, 'TOKEN'), generation);
  symlinkSync(generation, join(volume, '..data_tmp'));
  renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
}

writeSecret('..first');
symlinkSync('..data/TOKEN', join(volume, 'TOKEN'));
mkdirSync(at('providers'));
writeFileSync(
  at('providers/example.yaml'),
  `provider:
  name: example
  type: custom
  endpoints: [{host: example.com, port: 443}]
  credentialsFrom:
    - source: {type: kubernetesSecret, namespace: example, name: example}
      mode: allKeys
`,
);
writeFileSync(
  at('config.yaml'),
  `sandbox: {id: example, name: example, namespace: example}
secretsRoot: ${at('secrets')}
providersDir: ${at('providers')}
socket: {path: ${at('socket/resolver.sock')}}
callers: [{name: supervisor, uid: ${process.getuid?.()}, providers: ["*"]}]
agent: {present: false}
log: {level: error}
audit: {path: ${at('audit')}}
`,
);

// It serves in this process, whose code is asked for: it must not be replaced, nor see that a cluster builds the image.
Object.assign(process, { execve: undefined });
delete process.env.KUBERNETES_SERVICE_HOST;
const program = join(dist, 'start.cjs');
process.argv = [process.execPath, program, 'serve', '--relaxed', '--config', at('config.yaml')];
const { scripts, withoutFlags } = createRequire(import.meta.url)(program) as {
  readonly scripts: ReadonlyMap<string, Script>;
  readonly withoutFlags: <T>(work: () => T) => T;
};
using client = connect({ socket: at('socket/resolver.sock') });
let snapshots = 0;
for await (const _ of client.watchProviderEnvironment({ signal: AbortSignal.timeout(TIMEOUT_MS) })) {
  await client.getProviderEnvironment();
  snapshots += 1;
  if (snapshots === 2) break;
  writeSecret('..second');
}
if (snapshots < 2) throw new Error(`the example was not served within ${TIMEOUT_MS / 1000} s`);
// Readable by the user of the container, whatever the builder and its umask were.
process.umask(0o022);
for (const [name, script] of scripts) {
  const cache = join(dist, name.replace('.cjs', '.cache'));
  rmSync(cache, { force: true });
  writeFileSync(
    cache,
    withoutFlags(() => script.createCachedData()),
  );
}
rmSync(folder, { recursive: true });
process.exit();
