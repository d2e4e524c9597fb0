/**
 * Does once, with an example and while the start-up snapshot is written, what every start does: so that its code
 * lies compiled in the snapshot. Everything that it makes is thrown away, and its values are no secrets.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { UNHARDENED } from './boundary/harden.ts';
import { startFlags } from './boundary/reexec.ts';
import type { CommandContext, CommandModule } from './cli/context.ts';
import { main } from './cli/run.ts';
import { referencedSecrets, secretId } from './config/config.ts';
import { loadConfig } from './consumers/index.ts';
import { Boundary } from './daemon/boundary.ts';
import { Audit } from './observe/audit/audit.ts';
import { createLog } from './observe/log.ts';
import { resolve } from './snapshot/resolve.ts';
import { changes, SnapshotStore } from './snapshot/snapshot.ts';
import { Views } from './snapshot/views.ts';
import { sourceOf, volumeDirectory } from './sources/index.ts';
import { wantedKeys } from './sources/wanted.ts';

const CONFIG = `sandbox: {id: example, name: example, namespace: example}
callers:
  - name: supervisor
    uid: 10779
    providers: ["*"]
agent:
  uid: 1000
health:
  listen: 127.0.0.1:8781
`;

const PROVIDER = `provider:
  name: example
  type: custom
  endpoints:
    - host: example.com
      port: 443
  credentials:
    TOKEN:
      source:
        type: kubernetesSecret
        namespace: example
        name: one
        key: token
  credentialsFrom:
    - source: {type: kubernetesSecret, namespace: example, name: two}
      mode: allKeys
`;

/** Leaves no handle open, no timer and no listener: any of them would keep the snapshot from being written. */
export async function warmUp(serve: CommandModule): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'warm-up-'));
  try {
    const places = { secretsRoot: join(folder, 'secrets'), providersDir: join(folder, 'providers') };
    mkdirSync(places.providersDir);
    writeFileSync(join(places.providersDir, 'example.yaml'), PROVIDER);
    for (const [name, key] of [
      ['one', 'token'],
      ['two', 'TWO'],
    ] as const)
      exampleVolume(join(places.secretsRoot, 'example', name), key);
    const file = join(folder, 'config.yaml');
    writeFileSync(
      file,
      `${CONFIG}${Object.entries(places)
        .map(([field, path]) => `${field}: ${path}\n`)
        .join('')}`,
    );
    const config = loadConfig(file, {});
    startFlags(config);

    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    const log = createLog({ level: 'info' }, nowhere);
    const audit = new Audit({ write: () => {}, [Symbol.asyncDispose]: async () => {} }, config.sandbox);
    const context: CommandContext = {
      env: {},
      stdin: Readable.from([]),
      stdout: nowhere,
      stderr: nowhere,
      signal: new AbortController().signal,
      exit: () => {},
    };
    const parsed = { createCommand: () => serve.createCommand(context).action(() => {}) };
    await main(['serve', '--config', file], { serve: () => Promise.resolve(parsed) }, context);
    const { signal, env, stderr } = context;
    const boundary = { config: () => config, hardening: UNHARDENED, boundSocket: () => undefined };
    await new Boundary({ ...boundary, relaxed: true, audit, log, signal, env, stderr }).prove();
    const views = new Views(config.sandbox, Buffer.alloc(32));
    const reads = new Map(
      referencedSecrets(config).map((secret) => [
        secretId(secret),
        sourceOf(secret).read(volumeDirectory(config, secret), wantedKeys(config, secret)),
      ]),
    );
    const resolution = resolve(config, reads, 0);
    const store = new SnapshotStore();
    const snapshot = { ...resolution, mountedAt: 0 };
    store.publish(snapshot);
    const { revision } = views.of(snapshot, ['example']);
    const found = changes(undefined, resolution);
    audit.credentialsChanged(found, revision, () => []);
    for (const change of found) {
      log.info({ provider: 'example', key: change.key }, 'example');
    }
    await audit[Symbol.asyncDispose]();
    await log[Symbol.asyncDispose]();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** As kubelet writes it. */
function exampleVolume(directory: string, key: string): void {
  mkdirSync(join(directory, '..2026'), { recursive: true });
  writeFileSync(join(directory, '..2026', key), 'example');
  symlinkSync('..2026', join(directory, '..data'));
  symlinkSync(join('..data', key), join(directory, key));
}
