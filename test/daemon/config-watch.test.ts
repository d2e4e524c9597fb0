/** The configuration follows its files: kubelet's swap of a ConfigMap, an editor's write, SIGHUP in none of them. */
import { spawn } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { connect } from '../../src/client/index.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { reread } from '../../src/daemon/reload.ts';
import { Audit } from '../../src/observe/audit/audit.ts';
import { NODE } from '../support/checkout.ts';
import { startServe, until } from '../support/cli.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';
import { ENDPOINTS, NAMESPACE, SANDBOX, Workspace } from '../support/workspace.ts';

/** Milliseconds within which a swap is in force. Below the 10 s of the comparison without a hint. */
const BY_EVENT_MS = 5_000;

let workspace: Workspace;
/** As a pod mounts it: config.yaml and a folder of providers in one ConfigMap. */
let configMap: SecretVolume;
let configFile: string;

beforeEach(() => {
  workspace = new Workspace();
  configMap = new SecretVolume(join(workspace.root, 'etc'));
  configFile = join(configMap.directory, 'config.yaml');
});
afterEach(() => workspace[Symbol.dispose]());

function files(names: readonly string[], id = SANDBOX.id): Record<string, string> {
  const config = {
    sandbox: { ...SANDBOX, id },
    secretsRoot: workspace.secretsRoot,
    providersDir: join(configMap.directory, 'providers'),
    socket: { path: workspace.socket, mode: '0666' },
    callers: [{ name: 'supervisor', uid: process.getuid?.() ?? 0, providers: ['*'] }],
    agent: { uid: process.getuid?.() === 1000 ? 1001 : 1000 },
  };
  const providers = names.map((name) => {
    const source = { type: 'kubernetesSecret', namespace: NAMESPACE, name: 'all' };
    const credentials = { [name.toUpperCase()]: { source: { ...source, key: name } } };
    const provider = { name, type: 'custom', endpoints: ENDPOINTS, credentials };
    return [`providers/${name}.yaml`, stringify({ provider })] as const;
  });
  return { 'config.yaml': stringify(config), ...Object.fromEntries(providers) };
}

it('puts a swapped ConfigMap in force, all or nothing, and says once what is wrong with one', async () => {
  workspace.secret('all').write({ one: newSecret(), two: newSecret() });
  configMap.write(files(['one']));
  await using serve = await startServe(configFile);
  using client = connect({ socket: workspace.socket });
  const keys = async () => [...(await client.getProviderEnvironment()).credentials.keys()].sort();
  expect(await keys()).toEqual(['ONE']);

  configMap.write(files(['one', 'two']));
  await until(async () => (await keys()).length === 2, BY_EVENT_MS);

  configMap.write({ ...files([]), 'providers/one.yaml': 'provider: {name: one, typo: x}' });
  await until(() => serve.stdout.includes('config-refused'), BY_EVENT_MS);
  // Every other event leads to a comparison, and none of them to a second report.
  writeFileSync(join(configMap.directory, 'unrelated'), '');
  await sleep(500);
  expect(serve.stderr.match(/the new configuration is wrong/g)).toHaveLength(1);
  expect(await keys()).toEqual(['ONE', 'TWO']);

  configMap.write(files(['two']));
  await until(async () => (await keys()).join() === 'TWO', BY_EVENT_MS);
});

it.each([
  ['written in place', (file: string, text: string) => writeFileSync(file, text)],
  [
    'put in place by a rename',
    (file: string, text: string) => {
      writeFileSync(`${file}~`, text);
      renameSync(`${file}~`, file);
    },
  ],
])(
  'follows a provider file that is %s, and a folder of profiles behind a symlink',
  async (_, write) => {
    workspace.secret('all').write({ one: newSecret(), A: newSecret(), B: newSecret() });
    const real = join(workspace.root, 'real-profiles');
    mkdirSync(real);
    symlinkSync(real, join(workspace.root, 'linked'));
    workspace.writeConfig({ profilesDir: join(workspace.root, 'linked') });
    const profile = (variable: string) =>
      stringify({ id: 'p', credentials: [{ name: 'c', env_vars: [variable] }], endpoints: ENDPOINTS });
    writeFileSync(join(real, 'p.yaml'), profile('A'));
    const source = { type: 'kubernetesSecret', namespace: NAMESPACE, name: 'all' };
    const provider = { name: 'p', type: 'p', credentialsFrom: [{ source, mode: 'providerProfileKeys' }] };
    workspace.writeProvider('p.yaml', provider);
    await using _serve = await startServe(workspace.configFile);
    using client = connect({ socket: workspace.socket });
    const keys = async () => [...(await client.getProviderEnvironment()).credentials.keys()].sort().join();
    expect(await keys()).toBe('A');
    const credentials = { ONE: { source: { ...source, key: 'one' } } };
    write(join(workspace.root, 'providers', 'p.yaml'), stringify({ provider: { ...provider, credentials } }));
    await until(async () => (await keys()) === 'A,ONE', BY_EVENT_MS);
    write(join(real, 'p.yaml'), profile('B'));
    // No event comes from behind a symlink: the comparison finds it.
    await until(async () => (await keys()) === 'B,ONE', 15_000);
  },
  30_000,
);

it('never reads a mixture of two ConfigMaps', async () => {
  const names = (letter: string) => Array.from({ length: 12 }, (_, index) => `${letter}${index}`);
  const generations = [files(names('a'), 'a'), files(names('b'), 'b')];
  configMap.write(generations[0] ?? {});
  const current = loadConfig(configFile, {});
  const { log } = new MemoryLog();
  const audit = new Audit({ write: () => {}, [Symbol.asyncDispose]: async () => {} }, SANDBOX);
  const module = join(import.meta.dirname, '../support/secret-volume.ts');
  const script = `const { SecretVolume } = await import(${JSON.stringify(module)});
    const volume = new SecretVolume(${JSON.stringify(configMap.directory)});
    const generations = ${JSON.stringify(generations)};
    const end = Date.now() + 4_000;
    for (let swap = 0; Date.now() < end; swap++) {
      volume.write(generations[swap % 2]);
      await new Promise((wake) => setTimeout(wake, 6 * Math.random()));
    }`;
  const writer = spawn(NODE, ['--input-type=module', '--eval', script], { stdio: 'inherit' });
  const closed = new Promise((done) => writer.once('close', done));
  const seen: string[] = [];
  while (writer.exitCode === null) {
    const { config } = reread(current, { file: configFile, env: {}, consumers: {}, log, audit, loadConfig });
    // The sandbox is that of the start; providers show which files were read.
    const letters = new Set(config?.providers.map(({ name }) => name[0]));
    if (config !== undefined) seen.push([...letters].sort().join(''));
    await sleep(1);
  }
  expect(await closed).toBe(0);
  expect(new Set(seen)).toEqual(new Set(['a', 'b']));
}, 20_000);
