import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { referencedSecrets } from '../../src/config/config.ts';
import { CONSUMERS } from '../../src/consumers/index.ts';
import { loadConfig, PARTS } from '../../src/consumers/load-config.ts';
import { NAMESPACE, SANDBOX, Workspace } from '../support/workspace.ts';
import { ENVIRONMENT } from './examples.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => workspace[Symbol.dispose]());

const load = () => loadConfig(workspace.configFile, ENVIRONMENT);

/** As the platform writes them today, letter for letter. */
const EXPLICIT = `provider:
  name: nvbugs-gitlab
  type: gitlab
  credentials:
    GITLAB_TOKEN:
      source: {type: kubernetesSecret, namespace: tenant-nvbugs-prod, name: nvbugs-provider-credentials, key: gitlab-token}
`;
const BULK = (mode: string) => `provider:
  name: nvbugs-agent-secrets
  type: custom
  credentialsFrom:
    - source: {type: kubernetesSecret, namespace: tenant-nvbugs-prod, name: nvbugs-provider-credentials}
      mode: ${mode}
`;
const GITLAB = {
  id: 'gitlab',
  display_name: 'GitLab',
  category: 'source_control',
  inference_capable: false,
  credentials: [
    {
      name: 'api_token',
      description: 'A personal access token',
      env_vars: ['GITLAB_TOKEN', 'GL_TOKEN'],
      required: true,
      auth_style: 'bearer',
      refresh: { whatever: ['upstream', { says: 1 }] },
    },
  ],
  endpoints: [
    { host: 'gitlab.com', port: 443, protocol: 'rest', tls: 'terminate' },
    { host: 'registry.gitlab.com', ports: [443, 5050], path: '/v2/**' },
    { host: '*.gitlab.example' },
  ],
  binaries: [{ path: '/usr/bin/git' }],
  discovery: { credentials: [] },
  something_new: { from: 'a later version' },
};

describe('the provider forms of the platform', () => {
  test('an explicit mapping takes its endpoints from its profile', () => {
    workspace.writeProvider('gitlab.yaml', EXPLICIT);
    workspace.writeProfile('gitlab.yaml', GITLAB);
    const config = load();
    expect(config.providers).toEqual([
      {
        name: 'nvbugs-gitlab',
        type: 'gitlab',
        endpoints: [
          { host: 'gitlab.com', port: 443, path: '' },
          { host: 'registry.gitlab.com', port: 443, path: '/v2/**' },
          { host: 'registry.gitlab.com', port: 5050, path: '/v2/**' },
          { host: '*.gitlab.example', port: 443, path: '' },
        ],
        profileCredentials: [{ name: 'api_token', envVars: ['GITLAB_TOKEN', 'GL_TOKEN'], required: true }],
        credentials: [
          {
            key: 'GITLAB_TOKEN',
            reference: { namespace: NAMESPACE, name: 'nvbugs-provider-credentials', key: 'gitlab-token' },
            required: false,
            expiresAt: undefined,
            trim: 'trailingNewline',
            format: 'text',
          },
        ],
        from: [],
      },
    ]);
    expect(referencedSecrets(config)).toEqual([
      { namespace: NAMESPACE, name: 'nvbugs-provider-credentials' },
    ]);
  });

  test.each(['providerProfileKeys', 'allKeys'])('a whole Secret with mode %s', (mode) => {
    workspace.writeProvider('agent.yaml', BULK(mode));
    workspace.writeProfile('custom.yaml', { id: 'custom', credentials: GITLAB.credentials });
    expect(load().providers[0]).toMatchObject({
      name: 'nvbugs-agent-secrets',
      type: 'custom',
      endpoints: [],
      credentials: [],
      from: [
        {
          secret: { namespace: NAMESPACE, name: 'nvbugs-provider-credentials' },
          mode,
          rename: new Map(),
          include: ['*'],
          exclude: [],
          format: new Map(),
          trim: 'trailingNewline',
        },
      ],
    });
  });

  test('everything that may be said beyond those', () => {
    const source = { type: 'kubernetesSecret', name: 'x' };
    workspace.writeProvider('full.yaml', {
      name: 'full',
      type: 'custom',
      endpoints: [{ host: 'api.example', path: '/v4/**' }],
      credentials: {
        LITERAL: { source: { ...source, key: 'a' }, expiresAt: '2027-01-31T00:00:00Z', required: true },
        MILLIS: { source: { ...source, key: 'db/password' }, expiresAt: 1_800_000_000_000, trim: 'none' },
        SIBLING: { source: { ...source, key: 'c' }, expiresAt: { key: 'c-until' }, format: 'jwt' },
      },
      credentialsFrom: [{ source, mode: 'allKeys', trim: 'none', rename: { 'a-b': 'A_B' } }],
    });
    const provider = load().providers[0];
    expect(provider?.endpoints).toEqual([{ host: 'api.example', port: 443, path: '/v4/**' }]);
    expect(provider?.credentials).toMatchObject([
      // A Secret without a namespace is one of the sandbox's own.
      {
        key: 'LITERAL',
        required: true,
        expiresAt: { atMs: Date.UTC(2027, 0, 31) },
        reference: { namespace: NAMESPACE },
      },
      {
        key: 'MILLIS',
        expiresAt: { atMs: 1_800_000_000_000 },
        trim: 'none',
        reference: { key: 'db/password' },
      },
      { key: 'SIBLING', expiresAt: { key: 'c-until' }, format: 'jwt' },
    ]);
    expect(provider?.from).toMatchObject([{ trim: 'none', rename: new Map([['a-b', 'A_B']]) }]);
  });

  test('endpoints of the provider replace those of its profile', () => {
    workspace.writeProfile('gitlab.yaml', GITLAB);
    workspace.writeProvider('gitlab.yaml', `${EXPLICIT}  endpoints: [{host: gitlab.internal, port: 8443}]\n`);
    expect(load().providers[0]?.endpoints).toEqual([{ host: 'gitlab.internal', port: 8443, path: '' }]);
  });

  test('several providers in one file, and anchors in it', () => {
    workspace.writeProvider(
      'two.yaml',
      `${EXPLICIT}---\nprovider:\n  name: second\n  type: custom\n  credentials:\n    A: {source: &s {type: kubernetesSecret, name: x, key: k}}\n    B: {source: *s}\n`,
    );
    expect(
      load().providers.map(({ name, credentials }) => [name, credentials.map(({ key }) => key)]),
    ).toEqual([
      ['nvbugs-gitlab', ['GITLAB_TOKEN']],
      ['second', ['A', 'B']],
    ]);
  });
});

test('every default', () => {
  writeFileSync(workspace.configFile, `providersDir: ${join(workspace.root, 'providers')}\n`);
  expect(load()).toEqual({
    file: workspace.configFile,
    sandbox: SANDBOX,
    secretsRoot: '/var/lib/secret-resolver/secrets',
    providersDir: join(workspace.root, 'providers'),
    profilesDir: undefined,
    socket: { path: '/run/secret-resolver/socket/resolver.sock', mode: 0o660, gid: undefined },
    // Default deny but for the sandbox's own namespace.
    references: { allow: [{ namespace: NAMESPACE, name: '*', keys: ['*'] }] },
    callers: [],
    agent: { uid: 1000, gid: 1000 },
    health: undefined,
    metrics: undefined,
    egress: {
      listen: { host: '127.0.0.1', port: 15001 },
      directory: '/run/secret-resolver-egress',
      caDirectory: '/run/secret-resolver-ca',
      trustedCa: '/etc/ssl/certs/ca-certificates.crt',
      unlisted: 'deny',
      rewriteBodies: [],
      redactResponses: [],
    },
    log: { level: 'info' },
    audit: { path: undefined },
    boundary: { warn: [], trusted: [] },
    parts: { openshell: { package: 'openshell.v1', overLimit: 'warn' } },
    providers: [],
  });
});

test('the default of providersDir is where the pod template mounts it', () => {
  writeFileSync(workspace.configFile, 'agent: {uid: 2000}\n');
  expect(() => load()).toThrow(
    /config\.yaml:1:1: providersDir: the folder cannot be read: ENOENT \(\/etc\/secret-resolver\/providers unless set\) \(mount the folder, or set the field to where it is\)$/,
  );
});

test('what is given is taken over', () => {
  workspace.writeConfig({
    socket: { path: '/run/x/y.sock', mode: '0600', gid: 7 },
    references: { allow: [{ name: 'a-*' }, { namespace: 'other', name: 'b', keys: ['k*'] }] },
    callers: [{ name: 'proxy', uid: 0, gid: 5, exe: '/opt/*/proxy', providers: ['a*', 'b'] }],
    agent: { uid: 2000 },
    health: { listen: '[::1]:8086' },
    metrics: { listen: '127.0.0.1:9090' },
    boundary: { warn: ['self-seccomp'], trusted: [{ uid: 0, exe: '/opt/x' }, { uid: 5 }] },
  });
  expect(load()).toMatchObject({
    socket: { path: '/run/x/y.sock', mode: 0o600, gid: 7 },
    references: {
      allow: [
        { namespace: NAMESPACE, name: 'a-*', keys: ['*'] },
        { namespace: 'other', name: 'b', keys: ['k*'] },
      ],
    },
    callers: [{ name: 'proxy', uid: 0, gid: 5, exe: '/opt/*/proxy', providers: ['a*', 'b'] }],
    // The agent's group is its UID unless said otherwise.
    agent: { uid: 2000, gid: 2000 },
    health: { listen: { host: '::1', port: 8086 } },
    metrics: { listen: { host: '127.0.0.1', port: 9090 } },
    boundary: {
      warn: ['self-seccomp'],
      trusted: [{ uid: 0, exe: '/opt/x' }, { uid: 5 }],
    },
  });
});

test('a configuration cannot be changed after it is loaded', () => {
  workspace.writeConfig({});
  const config = load();
  expect(() => Object.assign(config.callers[0] ?? {}, { uid: 7 })).toThrow(TypeError);
  expect(() => (config.providers as unknown[]).push({})).toThrow(TypeError);
});

test('a folder that kubelet mounts from a ConfigMap gives each file once', () => {
  const folder = join(workspace.root, 'providers');
  const generation = join(folder, '..2026_11_23_10_00_00.1');
  mkdirSync(generation);
  writeFileSync(join(generation, 'gitlab.yaml'), EXPLICIT);
  symlinkSync('..2026_11_23_10_00_00.1', join(folder, '..data'));
  symlinkSync('..data/gitlab.yaml', join(folder, 'gitlab.yaml'));
  // What is no YAML file stays out of the way.
  writeFileSync(join(folder, 'README'), 'not: [yaml');
  writeFileSync(join(folder, '.hidden.yaml'), 'not: [yaml');
  expect(load().providers.map(({ name }) => name)).toEqual(['nvbugs-gitlab']);
  // JSON is YAML.
  renameSync(join(generation, 'gitlab.yaml'), join(generation, 'x'));
  writeFileSync(
    join(generation, 'gitlab.yaml'),
    JSON.stringify({ provider: { name: 'j', type: 't', credentials: {} } }),
  );
  expect(load().providers.map(({ name }) => name)).toEqual(['j']);
});

test('each consumer that has a part of the configuration has one that reads it', () => {
  expect(PARTS.map(({ field }) => field).sort()).toEqual(
    CONSUMERS.flatMap(({ config }) => config?.field ?? []).sort(),
  );
});
