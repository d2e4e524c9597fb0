/**
 * Mistakes that a new user makes in a good configuration, each found by `config validate` with file, line and what to
 * write: those that no loader could take, and those that are certain to be refused later.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencedSecrets, secretId } from '../../src/config/config.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { resolve } from '../../src/snapshot/resolve.ts';
import { wantedKeys } from '../../src/sources/wanted.ts';
import { generation } from '../snapshot/given.ts';
import { runInProcess } from '../support/in-process.ts';

/** An ASN.1 sequence of one number, which is all that a block must hold. */
const PEM = '-----BEGIN PRIVATE KEY-----\nMAMCAQU=\n-----END PRIVATE KEY-----\n';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'msr-predict-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const GOOD: Readonly<Record<string, string>> = {
  'config.yaml': `sandbox: {id: sandbox-1, name: sandbox, namespace: team-a}
providersDir: FOLDER/providers
profilesDir: FOLDER/profiles
socket: {path: /run/secret-resolver/socket/resolver.sock, mode: "0660"}
references:
  allow:
    - {name: app-*, keys: ["*"]}
callers:
  - {name: supervisor, uid: 1337, providers: [gitlab, model, bulk, tls]}
agent: {uid: 1000}
health: {listen: "[::]:8086"}
metrics: {listen: "[::]:9090"}
log: {level: info}
audit: {path: /var/log/audit.json}
boundary: {warn: [self-seccomp], trusted: [{uid: 0}]}
`,
  'providers/gitlab.yaml': `provider:
  name: gitlab
  type: gitlab
  credentials:
    GITLAB_TOKEN:
      source: {type: kubernetesSecret, namespace: team-a, name: app-gitlab, key: token}
      required: true
`,
  'providers/model.yaml': `provider:
  name: model
  type: model
  credentialsFrom:
    - source: {type: kubernetesSecret, name: app-model}
      mode: providerProfileKeys
`,
  'providers/bulk.yaml': `provider:
  name: bulk
  type: custom
  endpoints: [{host: api.example.com, port: 443, path: /v1/**}]
  credentialsFrom:
    - source: {type: kubernetesSecret, name: app-bulk}
      mode: allKeys
      rename: {api-key: API_KEY}
`,
  'providers/tls.yaml': `provider:
  name: tls
  type: custom
  endpoints: [{host: tls.example.com}]
  credentials:
    TLS_KEY:
      source: {type: kubernetesSecret, name: app-tls, key: tls.key}
      format: pem
      expiresAt: 2099-01-31T00:00:00Z
`,
  'profiles/gitlab.yaml': `id: gitlab
display_name: GitLab
credentials:
  - {name: token, env_vars: [GITLAB_TOKEN], required: true, auth_style: bearer, header_name: authorization}
endpoints:
  - {host: gitlab.example.com, port: 443, protocol: rest, access: read-write, enforcement: enforce}
`,
  'profiles/model.yaml': `id: model
display_name: Model
credentials:
  - {name: key, env_vars: [MODEL_API_KEY], auth_style: bearer, header_name: authorization}
endpoints:
  - {host: model.example.com, port: 443, protocol: rest, access: read-write, enforcement: enforce}
`,
};

type Changes = Readonly<Record<string, string | undefined>>;
/** In one of the good files, the first text of each pair becomes the second. */
const change =
  (file: string) =>
  (...pairs: string[]): Changes => {
    let text = GOOD[file] ?? '';
    for (let at = 0; at < pairs.length; at += 2) {
      const [from = '', to = ''] = pairs.slice(at);
      if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
      text = text.replace(from, to);
    }
    return { [file]: text };
  };
const config = change('config.yaml');
const gitlab = change('providers/gitlab.yaml');
const model = change('providers/model.yaml');
const bulk = change('providers/bulk.yaml');
const tls = change('providers/tls.yaml');
const profile = change('profiles/gitlab.yaml');

function write(changes: Changes): string {
  const root = mkdtempSync(join(folder, 'case-'));
  for (const name of ['providers', 'profiles']) mkdirSync(join(root, name));
  for (const [file, text] of Object.entries({ ...GOOD, ...changes }))
    if (text !== undefined) writeFileSync(join(root, file), text.replaceAll('FOLDER', root));
  return root;
}

async function validate(changes: Changes, ...flags: string[]): Promise<{ code: number; out: string }> {
  const root = write(changes);
  const file = flags.find((flag) => !flag.startsWith('-')) ?? 'config.yaml';
  const argv = ['config', 'validate', join(root, file), ...flags.filter((flag) => flag.startsWith('-'))];
  const { code, stdout, stderr } = await runInProcess(...argv);
  return {
    code,
    out: `${stdout}${stderr.replace(/^secret-resolver: /, '').trimEnd()}`.replaceAll(`${root}/`, ''),
  };
}

/** Name, what is changed, the exit code, and what is reported. */
type Case = readonly [name: string, changes: Changes, exit: 0 | 2, expected: string];

/** Mistakes that were tried as a new user would make them. */
const TRIED: readonly Case[] = [
  [
    'sandbox typo field',
    config('name: sandbox,', 'nmae: sandbox,'),
    2,
    'config.yaml:1:26: error: sandbox.nmae: is not a known field [secret-resolver]\n    fix: write name',
  ],
  [
    'top-level typo secretRoot',
    config('log:', 'secretRoot: /s\nlog:'),
    2,
    'config.yaml:13:1: error: secretRoot: is not a known field [secret-resolver]\n    fix: write secretsRoot',
  ],
  [
    'providerDir',
    config('providersDir', 'providerDir'),
    2,
    'config.yaml:2:1: error: providerDir: is not a known field [secret-resolver]\n    fix: write providersDir',
  ],
  [
    'socket string',
    config(
      'socket: {path: /run/secret-resolver/socket/resolver.sock, mode: "0660"}',
      'socket: /run/x/y.sock',
    ),
    2,
    'config.yaml:4:1: error: socket: has the wrong type',
  ],
  [
    'socket mode unquoted 0660',
    config('"0660"', '0660'),
    2,
    'config.yaml:4:59: error: socket.mode: has the wrong type',
  ],
  [
    'socket mode 660',
    config('"0660"', '"660"'),
    2,
    'config.yaml:4:59: error: socket.mode: must be four octal digits',
  ],
  [
    'socket path relative',
    config('/run/secret-resolver/socket/resolver.sock', 'run/r.sock'),
    2,
    'config.yaml:4:10: error: socket.path: must be an absolute path',
  ],
  [
    'socket path in /tmp',
    config('/run/secret-resolver/socket/resolver.sock', '/tmp/r.sock'),
    2,
    'config.yaml:4:10: error: socket.path: must not',
  ],
  [
    'socket path ~',
    config('/run/secret-resolver/socket/resolver.sock', '~/r.sock'),
    2,
    'config.yaml:4:10: error: socket.path: must be an absolute path',
  ],
  [
    'uid string',
    config('uid: 1337', 'uid: "1337"'),
    2,
    'config.yaml:9:24: error: callers[0].uid: has the wrong type',
  ],
  [
    'uid name',
    config('uid: 1337', 'uid: supervisor'),
    2,
    'config.yaml:9:24: error: callers[0].uid: has the wrong type',
  ],
  ['uid 65534', config('uid: 1337', 'uid: 65534'), 2, 'config.yaml:9:24: error: callers[0].uid: 65534 means'],
  [
    'callers map',
    config(
      '  - {name: supervisor, uid: 1337, providers: [gitlab, model, bulk, tls]}',
      '  supervisor: {uid: 1337}',
    ),
    2,
    'config.yaml:8:1: error: callers: has the wrong type',
  ],
  [
    'caller name Me',
    config('name: supervisor', 'name: Me'),
    2,
    'config.yaml:9:6: error: callers[0].name: must be lowercase',
  ],
  [
    'caller name self',
    config('name: supervisor', 'name: self'),
    2,
    'config.yaml:9:6: error: callers[0].name: is the name that the resolver gives',
  ],
  [
    'caller provider unknown',
    config('[gitlab, model', '[gitlabs, model'),
    0,
    'config.yaml:9:47: warning: callers[0].providers[0]: matches no provider [secret-resolver]\n    fix: write gitlab',
  ],
  [
    'caller dup',
    config('agent:', '  - {name: supervisor, uid: 7, providers: ["*"]}\nagent:'),
    2,
    'config.yaml:10:6: error: callers[1].name: is the name of another caller too',
  ],
  [
    'agent uid same as caller',
    config('agent: {uid: 1000}', 'agent: {uid: 1337}'),
    2,
    'config.yaml:9:24: error: callers[0].uid: is the UID of the agent',
  ],
  [
    'health port only',
    config('"[::]:8086"', '8086'),
    2,
    'config.yaml:11:10: error: health.listen: has the wrong type',
  ],
  [
    'health :8086',
    config('"[::]:8086"', '":8086"'),
    2,
    'config.yaml:11:10: error: health.listen: is not host:port',
  ],
  [
    'health localhost',
    config('"[::]:8086"', 'localhost:8086'),
    0,
    "config.yaml:11:10: warning: health.listen: is reached from inside the pod only, not by kubelet's probes",
  ],
  [
    'health same as metrics',
    config('9090', '8086'),
    2,
    'config.yaml:12:11: error: metrics.listen: has the port of health.listen [secret-resolver]\n    fix: choose another port',
  ],
  [
    'metrics: true',
    config('metrics: {listen: "[::]:9090"}', 'metrics: true'),
    2,
    'config.yaml:12:1: error: metrics: has the wrong type',
  ],
  [
    'log level verbose',
    config('level: info', 'level: verbose'),
    2,
    'config.yaml:13:7: error: log.level: must be one of',
  ],
  [
    'audit path relative',
    config('/var/log/audit.json', 'audit.json'),
    2,
    'config.yaml:14:9: error: audit.path: must be an absolute path',
  ],
  [
    'boundary.warn typo id',
    config('self-seccomp', 'self-secomp'),
    2,
    'config.yaml:15:19: error: boundary.warn[0]: is not the id of an enforced check, so it waives nothing [secret-resolver]\n    fix: write self-seccomp',
  ],
  [
    'boundary trusted no uid',
    config('[{uid: 0}]', '[{exe: /x}]'),
    2,
    'config.yaml:15:44: error: boundary.trusted[0].uid: is missing',
  ],
  [
    'references list',
    config('references:\n  allow:\n    - {name: app-*, keys: ["*"]}', 'references:\n  - {name: app-*}'),
    2,
    'config.yaml:5:1: error: references: has the wrong type',
  ],
  [
    'reflection "yes"',
    config('log:', 'reflection: "yes"\nlog:'),
    2,
    'config.yaml:13:1: error: reflection: is not a known field',
  ],
  [
    'tab indentation',
    config('  allow:', '\tallow:'),
    2,
    'config.yaml:6:1: error: not valid YAML: a tab indents this line',
  ],
  ['duplicate key', config('log:', 'agent: {uid: 7}\nlog:'), 2, 'config.yaml:13:1: error: duplicate field'],
  ['empty file', { 'config.yaml': '' }, 2, 'config.yaml: error: is empty'],
  ['two documents', config('log:', '---\nlog:'), 2, 'config.yaml:14:1: error: a second document begins here'],
  [
    'providersDir missing',
    config('FOLDER/providers', 'FOLDER/none'),
    2,
    'config.yaml:2:1: error: providersDir: the folder cannot be read: ENOENT',
  ],
  [
    'profilesDir missing',
    config('FOLDER/profiles', 'FOLDER/none'),
    2,
    'config.yaml:3:1: error: profilesDir: the folder cannot be read: ENOENT',
  ],
  [
    'provider: type typo',
    bulk('type: custom', 'type: modle'),
    0,
    'providers/bulk.yaml:3:3: warning: provider.type: there is no profile modle [secret-resolver]\n    fix: write model',
  ],
  [
    'provider: source.type k8s',
    gitlab('kubernetesSecret', 'k8s'),
    2,
    'providers/gitlab.yaml:6:16: error: provider.credentials.GITLAB_TOKEN.source.type: must be kubernetesSecret',
  ],
  [
    'provider: secretName',
    gitlab('name: app-gitlab', 'secretName: app-gitlab'),
    2,
    'providers/gitlab.yaml:6:59: error: provider.credentials.GITLAB_TOKEN.source.secretName: is not a known field',
  ],
  [
    'provider: key missing',
    gitlab(', key: token', ''),
    2,
    'provider.credentials.GITLAB_TOKEN.source.key: is missing',
  ],
  [
    'provider: env name dash',
    gitlab('GITLAB_TOKEN', 'GITLAB-TOKEN'),
    2,
    'providers/gitlab.yaml:5:5: error: provider.credentials.GITLAB-TOKEN: the name is not an environment variable name',
  ],
  [
    'provider: env name lower',
    gitlab('GITLAB_TOKEN', 'gitlab_token'),
    0,
    'providers/gitlab.yaml:5:5: warning: provider.credentials.gitlab_token: differs in its capitals from what the profile declares [secret-resolver]\n    fix: write GITLAB_TOKEN',
  ],
  [
    'provider: env name PATH',
    tls('TLS_KEY', 'PATH'),
    0,
    'providers/tls.yaml:6:5: warning: provider.credentials.PATH: is refused: reserved-name',
  ],
  [
    'provider: require',
    gitlab('required: true', 'require: true'),
    2,
    'providers/gitlab.yaml:7:7: error: provider.credentials.GITLAB_TOKEN.require: is not a known field [secret-resolver]\n    fix: write required',
  ],
  [
    'provider: expiresAt date only',
    tls('2099-01-31T00:00:00Z', '2099-01-31'),
    2,
    'providers/tls.yaml:9:7: error: provider.credentials.TLS_KEY.expiresAt: is not a time',
  ],
  [
    'provider: expiresAt local',
    tls('2099-01-31T00:00:00Z', '2099-01-31T00:00:00'),
    2,
    'providers/tls.yaml:9:7: error: provider.credentials.TLS_KEY.expiresAt: is not a time',
  ],
  [
    'provider: expiresAt past',
    tls('2099-01-31', '2001-01-31'),
    0,
    'providers/tls.yaml:9:7: warning: provider.credentials.TLS_KEY.expiresAt: is in the past',
  ],
  [
    'provider: expiresAt key str',
    tls('2099-01-31T00:00:00Z', '{key: 5}'),
    2,
    'providers/tls.yaml:9:7: error: provider.credentials.TLS_KEY.expiresAt',
  ],
  [
    'provider: expires',
    tls('expiresAt', 'expires'),
    2,
    'providers/tls.yaml:9:7: error: provider.credentials.TLS_KEY.expires: is not a known field [secret-resolver]\n    fix: write expiresAt',
  ],
  [
    'provider: format yaml',
    tls('format: pem', 'format: yaml'),
    2,
    'providers/tls.yaml:8:7: error: provider.credentials.TLS_KEY.format: must be one of',
  ],
  [
    'provider: trim true',
    tls('format: pem', 'trim: true'),
    2,
    'providers/tls.yaml:8:7: error: provider.credentials.TLS_KEY.trim: must be one of',
  ],
  [
    'provider: mode allkeys',
    bulk('allKeys', 'allkeys'),
    2,
    'providers/bulk.yaml:7:7: error: provider.credentialsFrom[0].mode: must be one of',
  ],
  [
    'provider: providerProfileKeys of custom',
    model('type: model', 'type: custom'),
    2,
    'providers/model.yaml:6:7: error: provider.credentialsFrom[0].mode: there is no profile custom',
  ],
  [
    'provider: rename to bad',
    bulk('API_KEY', 'API-KEY'),
    2,
    'providers/bulk.yaml:8:16: error: provider.credentialsFrom[0].rename.api-key: is not an environment variable name',
  ],
  [
    'provider: rename to taken',
    bulk(
      '  credentialsFrom:',
      '  credentials: {API_KEY: {source: {type: kubernetesSecret, name: app-x, key: k}}}\n  credentialsFrom:',
    ),
    0,
    'providers/bulk.yaml:9:16: warning: provider.credentialsFrom[0].rename.api-key: has no effect: API_KEY is a credential of its own above',
  ],
  [
    'provider: endpoints string',
    bulk('[{host: api.example.com, port: 443, path: /v1/**}]', 'api.example.com'),
    2,
    'providers/bulk.yaml:4:3: error: provider.endpoints: has the wrong type',
  ],
  [
    'provider: endpoint url',
    bulk('host: api.example.com', 'host: https://api.example.com'),
    2,
    'providers/bulk.yaml:4:16: error: provider.endpoints[0].host: must be a host name',
  ],
  [
    'provider: endpoint port str',
    bulk('port: 443', 'port: "443"'),
    2,
    'providers/bulk.yaml:4:39: error: provider.endpoints[0].port: has the wrong type',
  ],
  [
    'provider: path w/o slash',
    bulk('/v1/**', 'v1/**'),
    2,
    'providers/bulk.yaml:4:50: error: provider.endpoints[0].path: must be empty or begin',
  ],
  [
    'provider: dup name',
    tls('name: tls', 'name: bulk'),
    2,
    'providers/tls.yaml:2:3: error: provider.name: bulk is the name of a provider in',
  ],
  [
    'provider: claimed twice',
    tls('TLS_KEY', 'GITLAB_TOKEN'),
    2,
    'providers/tls.yaml:6:5: error: provider.credentials.GITLAB_TOKEN: GITLAB_TOKEN is claimed by provider gitlab',
  ],
  [
    'provider: neither credentials nor From',
    { 'providers/tls.yaml': 'provider: {name: tls, type: custom}\n' },
    2,
    'providers/tls.yaml:1:1: error: provider: has neither credentials nor credentialsFrom',
  ],
  [
    'provider: missing top key',
    { 'providers/tls.yaml': 'name: tls\ntype: custom\n' },
    2,
    'providers/tls.yaml:1:1: error: name: is not a known field',
  ],
  [
    'provider: credentials list',
    { 'providers/tls.yaml': 'provider: {name: tls, type: custom, credentials: []}\n' },
    2,
    'providers/tls.yaml:1:37: error: provider.credentials: has the wrong type',
  ],
  [
    'provider file .txt',
    { 'providers/more.txt': GOOD['providers/tls.yaml'] },
    0,
    'providers/more.txt: warning: is not read [secret-resolver]\n    fix: give it a name that ends in .yaml',
  ],
  [
    'profile: id mismatch',
    profile('id: gitlab', 'id: gitlap'),
    2,
    'providers/gitlab.yaml:3:3: warning: provider.type: there is no profile gitlab [secret-resolver]\n    fix: write gitlap',
  ],
  [
    'profile: env_var',
    profile('env_vars', 'env_var'),
    0,
    'profiles/gitlab.yaml:4:19: warning: credentials[0].env_var: is not a field of a profile',
  ],
  [
    'profile: endpoints typo',
    profile('endpoints:', 'endpoint:'),
    2,
    'profiles/gitlab.yaml:5:1: warning: endpoint: is not a field of a profile',
  ],
];

/** More of each kind. */
const MORE: readonly Case[] = [
  [
    'a provider without endpoints',
    bulk('  endpoints: [{host: api.example.com, port: 443, path: /v1/**}]\n', ''),
    0,
    'providers/bulk.yaml:1:1: warning: provider.endpoints: provider bulk has no endpoints',
  ],
  [
    'a required credential without endpoints',
    profile(
      'endpoints:\n  - {host: gitlab.example.com, port: 443, protocol: rest, access: read-write, enforcement: enforce}\n',
      '',
    ),
    2,
    'providers/gitlab.yaml:1:1: error: provider.endpoints: provider gitlab has no endpoints',
  ],
  [
    'a reference outside the list',
    tls('app-tls', 'other-tls'),
    0,
    'providers/tls.yaml:7:7: warning: provider.credentials.TLS_KEY.source: refers to team-a/other-tls/tls.key, which references.allow does not list [secret-resolver]\n    fix: list {namespace: team-a, name: other-tls} there',
  ],
  [
    'a required reference to another namespace',
    gitlab('namespace: team-a', 'namespace: team-b'),
    2,
    'providers/gitlab.yaml:6:7: error: provider.credentials.GITLAB_TOKEN.source: refers to team-b/app-gitlab/token',
  ],
  [
    'a whole Secret outside the list',
    bulk('app-bulk', 'bulk'),
    0,
    'providers/bulk.yaml:6:7: warning: provider.credentialsFrom[0].source: refers to team-a/bulk, which',
  ],
  [
    'a key outside the list',
    config('keys: ["*"]', 'keys: ["t*"]'),
    0,
    'providers/model.yaml:5:7: warning: provider.credentialsFrom[0]: takes no key for key of the profile',
  ],
  [
    'a rule that allows nothing',
    config('callers:', '    - {name: app-gitlap}\ncallers:'),
    0,
    'config.yaml:8:7: warning: references.allow[1]: allows nothing that is referred to',
  ],
  [
    'a rule for keys that nothing refers to',
    config('callers:', '    - {name: app-gitlab, keys: [tokens]}\ncallers:'),
    0,
    'config.yaml:8:7: warning: references.allow[1]: allows nothing',
  ],
  [
    'a proxy by rename',
    bulk('API_KEY', 'https_proxy'),
    0,
    'providers/bulk.yaml:8:16: warning: provider.credentialsFrom[0].rename.api-key: is refused: reserved-name',
  ],
  [
    'an included key that is no name',
    bulk('rename: {api-key: API_KEY}', 'include: [api-key]'),
    0,
    'providers/bulk.yaml:8:17: warning: provider.credentialsFrom[0].include[0]: is refused: illegal-name',
  ],
  [
    'a rename of an excluded key',
    bulk('rename: {api-key: API_KEY}', 'rename: {api-key: API_KEY}\n      exclude: [api-*]'),
    0,
    'providers/bulk.yaml:8:16: warning: provider.credentialsFrom[0].rename.api-key: has no effect: include and exclude leave the key out',
  ],
  [
    'a format for a key that is not included',
    bulk('rename: {api-key: API_KEY}', 'include: [A]\n      format: {B: pem}'),
    0,
    'providers/bulk.yaml:9:16: warning: provider.credentialsFrom[0].format.B: has no effect',
  ],
  [
    'an expiry in seconds',
    tls('2099-01-31T00:00:00Z', '1801353600'),
    2,
    'providers/tls.yaml:9:7: error: provider.credentials.TLS_KEY.expiresAt: reads as Unix seconds; milliseconds are wanted',
  ],
  [
    'an expiry in microseconds',
    tls('2099-01-31T00:00:00Z', '1801353600000000'),
    2,
    'provider.credentials.TLS_KEY.expiresAt: reads as Unix microseconds',
  ],
  [
    'an expiry in seconds, as text',
    tls('2099-01-31T00:00:00Z', '"1801353600"'),
    2,
    'providers/tls.yaml:9:7: error: provider.credentials.TLS_KEY.expiresAt: reads as Unix seconds; milliseconds are wanted',
  ],
  [
    'an expiry in the key of the value',
    tls('2099-01-31T00:00:00Z', '{key: tls.key}'),
    0,
    'providers/tls.yaml:9:19: warning: provider.credentials.TLS_KEY.expiresAt.key: is the key of the value itself, which is no time, so the credential is refused',
  ],
  [
    'a type that is nearly a profile',
    model('type: model', 'type: modle'),
    2,
    'providers/model.yaml:6:7: error: provider.credentialsFrom[0].mode: there is no profile modle to take keys from [secret-resolver]\n    fix: write model',
  ],
  [
    'globs that leave every key out',
    bulk('rename: {api-key: API_KEY}', 'include: [A_*, B]\n      exclude: ["*"]'),
    0,
    'providers/bulk.yaml:6:7: warning: provider.credentialsFrom[0]: takes nothing: include and exclude leave every key out',
  ],
  [
    'an empty list of keys',
    bulk('rename: {api-key: API_KEY}', 'include: []'),
    0,
    'warning: provider.credentialsFrom[0]: takes nothing',
  ],
  [
    'a whole Secret for two providers',
    {
      'providers/bulk2.yaml': GOOD['providers/bulk.yaml']
        ?.replace('name: bulk', 'name: bulk2')
        .replace(/\n +rename.*/, ''),
    },
    0,
    'providers/bulk2.yaml:6:7: warning: provider.credentialsFrom[0]: takes the same keys as provider bulk, so',
  ],
  [
    'a caller of no provider',
    config('[gitlab, model, bulk, tls]', '[]'),
    0,
    'config.yaml:9:35: warning: callers[0].providers: lists no provider, so this caller is served nothing',
  ],
  [
    'a socket for the resolver alone',
    config('"0660"', '"0600"'),
    0,
    'config.yaml:4:59: warning: socket.mode: lets the resolver alone connect, so no caller is served',
  ],
  [
    'a caller rule with the program of another UID',
    config('uid: 1337,', 'uid: 1337, exe: /openshell-sandbox,'),
    2,
    'config.yaml:9:35: error: callers[0].exe: never matches: a resolver of UID 10771 cannot read the program of UID 1337',
  ],
  [
    'a trusted program of another UID',
    config('{uid: 0}', '{uid: 0, exe: /openshell-sandbox}'),
    2,
    'config.yaml:15:53: error: boundary.trusted[0].exe: never matches',
  ],
  [
    'a caller glob that matches nothing',
    config('[gitlab, model', '["git-*", model'),
    0,
    'config.yaml:9:47: warning: callers[0].providers[0]: matches no provider [secret-resolver]\n    fix: the providers are bulk, gitlab, model, tls',
  ],
  [
    'no caller',
    config('callers:\n  - {name: supervisor, uid: 1337, providers: [gitlab, model, bulk, tls]}\n', ''),
    0,
    'callers: lists nobody',
  ],
  [
    'no provider',
    {
      ...Object.fromEntries(
        ['gitlab', 'model', 'bulk', 'tls'].map((name) => [`providers/${name}.yaml`, undefined]),
      ),
      ...config('[gitlab, model, bulk, tls]', '["*"]'),
    },
    0,
    'config.yaml:2:1: warning: providersDir: has no provider file',
  ],
  [
    'metrics on loopback',
    config('"[::]:9090"', '127.0.0.1:9090'),
    0,
    'config.yaml:12:11: warning: metrics.listen: is reached from inside the pod only, not by Prometheus',
  ],
  [
    'two listeners, one of them on every address',
    config('"[::]:9090"', '10.0.0.1:8086'),
    2,
    'metrics.listen: has the port of health.listen',
  ],
  [
    'a proxy on the port of the probes',
    config('log:', 'egress: {listen: "127.0.0.1:8086"}\nlog:'),
    2,
    'config.yaml:13:10: error: egress.listen: has the port of health.listen [secret-resolver]\n    fix: choose another port',
  ],
  [
    'metrics on the port of a proxy that is given by default',
    config('"[::]:9090"}', '"0.0.0.0:15001"}\negress: {unlisted: tunnel}'),
    2,
    'config.yaml:13:1: error: egress.listen: has the port of metrics.listen',
  ],
  [
    'one address of two spellings',
    config('"[::]:9090"', '"[0:0::1]:8086"', '"[::]:8086"', '"[::1]:8086"'),
    2,
    'config.yaml:12:11: error: metrics.listen: has the port of health.listen',
  ],
  [
    'a socket below secretsRoot',
    config('/run/secret-resolver/socket/', '/var/lib/secret-resolver/secrets/socket/'),
    2,
    'config.yaml:4:10: error: socket.path: is in secretsRoot, which holds nothing but the read-only mounts of the Secrets [secret-resolver]\n    fix: choose a folder outside it, or another secretsRoot',
  ],
  [
    'secretsRoot above the default socket',
    config('socket: {path: /run/secret-resolver/socket/resolver.sock, ', 'secretsRoot: /run/\nsocket: {'),
    2,
    'config.yaml:5:1: error: socket.path: is in secretsRoot',
  ],
  [
    'an audit file in a Secret',
    config('/var/log/audit.json', '/var/lib/secret-resolver/secrets/team-a/app-tls/audit.json'),
    2,
    'config.yaml:14:9: error: audit.path: is in secretsRoot',
  ],
  [
    "a gateway driver's socket below secretsRoot",
    config(
      'log:',
      'secretsRoot: /s\ngatewayDriver: {socket: {path: /s//x/y.sock}, callers: [{name: g, uid: 7}], handleKey: {name: app-k, key: k}}\nlog:',
    ),
    2,
    'config.yaml:14:26: error: gatewayDriver.socket.path: is in secretsRoot',
  ],
  [
    'the CA of the proxy below secretsRoot',
    config('log:', 'egress: {caDirectory: /var/lib/secret-resolver/secrets}\nlog:'),
    2,
    'config.yaml:13:10: error: egress.caDirectory: is in secretsRoot',
  ],
  [
    'an audit file in place of the socket',
    config('/var/log/audit.json', '/run/secret-resolver/socket//resolver.sock'),
    2,
    'config.yaml:14:9: error: audit.path: is the same path as socket.path [secret-resolver]\n    fix: choose a path of its own',
  ],
  [
    'one folder for the proxy and for the CA that the agent reads',
    config('log:', 'egress: {directory: /run/proxy/, caDirectory: /run/proxy}\nlog:'),
    2,
    'config.yaml:13:34: error: egress.caDirectory: is the same path as egress.directory',
  ],
  [
    'a check that is waived twice',
    config('[self-seccomp]', '[self-seccomp, self-seccomp]'),
    2,
    'config.yaml:15:33: error: boundary.warn[1]: is listed twice [secret-resolver]\n    fix: keep one of the two',
  ],
  [
    'a hidden provider file',
    { 'providers/.tls.yaml': GOOD['providers/tls.yaml'] },
    0,
    'providers/.tls.yaml: warning: is not read',
  ],
  [
    'a profile in capitals',
    { 'profiles/OTHER.YAML': GOOD['profiles/gitlab.yaml'] },
    0,
    'profiles/OTHER.YAML: warning: is not read',
  ],
  [
    'a host that OpenShell cannot compile',
    bulk('api.example.com', '"a**.example.com"'),
    2,
    'providers/bulk.yaml:4:16: error: provider.endpoints[0].host: is no host pattern for OpenShell',
  ],
  [
    'a path that OpenShell reads literally',
    bulk('/v1/**', '/v*/**'),
    0,
    'providers/bulk.yaml:4:50: warning: provider.endpoints[0].path: matches less in OpenShell',
  ],
  [
    'a profile that OpenShell refuses',
    profile('display_name: GitLab\n', ''),
    0,
    'profiles/gitlab.yaml:1:1: warning: display_name: is missing',
  ],
];

describe('config validate', () => {
  it('takes listeners and paths that only look alike', async () => {
    const changes = config(
      ...['"[::]:8086"', '"10.0.0.1:8086"', '"[::]:9090"', '"10.0.0.2:8086"'],
      ...['/var/log/audit.json', '/var/lib/secret-resolver/secrets-audit/audit.json'],
      ...['log:', 'egress: {listen: "127.0.0.1:8086"}\nlog:'],
    );
    expect(await validate(changes)).toMatchObject({ code: 0, out: expect.not.stringContaining('error') });
    const any = config('"[::]:8086"', '"[::]:0"', '"[::]:9090"', '"[::]:0"');
    expect(await validate(any, '--strict')).toMatchObject({ code: 0 });
    const unused = config('"[::]:9090"', '"[::]:15001"');
    expect(await validate(unused, '--strict')).toMatchObject({ code: 0 });
    const noKit = config('log:', 'secretsRoot: /run/secret-resolver-egress\nlog:');
    expect(await validate(noKit)).toMatchObject({ code: 0 });
  });

  it('finds nothing in a good configuration', async () => {
    expect(await validate({}, '--strict')).toEqual({
      code: 0,
      out: `config.yaml: ok
  provider bulk (custom): allKeys of team-a/app-bulk
  provider gitlab (gitlab): GITLAB_TOKEN = team-a/app-gitlab/token
  provider model (model): providerProfileKeys of team-a/app-model
  provider tls (custom): TLS_KEY = team-a/app-tls/tls.key
  caller supervisor (uid 1337): bulk, gitlab, model, tls
`,
    });
  });

  it('misses no provider and no caller where a gateway alone is served', async () => {
    const none = Object.fromEntries(
      ['gitlab', 'model', 'bulk', 'tls'].map((name) => [`providers/${name}.yaml`, undefined]),
    );
    const driver = `${GOOD['config.yaml']?.replace(/^callers:\n.*\n/m, '')}gatewayDriver:
  callers: [{name: gateway, uid: 1337}]
  handleKey: {name: app-seal, key: key}
  workspaces: [{name: team-a, names: {gitlab: {name: app-gitlab, key: token}}}]
`;
    const changes = { ...none, 'config.yaml': driver };
    expect(await validate(changes, '--strict')).toEqual({ code: 0, out: 'config.yaml: ok\n' });
    const { out } = await validate({ ...none, 'config.yaml': driver.replace('name: app-*', 'name: other') });
    expect(out).toContain('references.allow[0]: allows nothing that is referred to');
  });

  it.each([...TRIED, ...MORE])('%s', async (_, changes, exit, expected) => {
    const { code, out } = await validate(changes);
    expect(out).toContain(expected);
    expect(code).toBe(exit);
    // Whatever it found is an error for who asks for that.
    expect((await validate(changes, '--strict')).code).toBe(2);
  });

  const refusals = [...TRIED, ...MORE].filter(([, , , expected]) =>
    /is refused|has no endpoints|which references\.allow|is in the past|takes no key|takes the same keys/.test(
      expected,
    ),
  );
  it.each([['nothing', {}, 0, ''] as Case, ...refusals])(
    'predicts what resolving values comes to: %s',
    (name, changes) => {
      const root = write(changes);
      const config = loadConfig(join(root, 'config.yaml'), {});
      const generous = new Map(
        referencedSecrets(config).map((secret) => {
          const of = config.providers.flatMap(({ from }) =>
            from.filter((bulk) => secretId(bulk.secret) === secretId(secret)),
          );
          const named = of.flatMap(({ rename, include }) => [
            ...rename.keys(),
            ...include.filter((key) => !key.includes('*')),
          ]);
          const keys = [...wantedKeys(config, secret).keys, ...named];
          return [
            secretId(secret),
            generation(Object.fromEntries(keys.map((key) => [key, key === 'tls.key' ? PEM : 'x']))),
          ] as const;
        }),
      );
      const { refusals: found } = resolve(config, generous, Date.now());
      const certain = [
        ...['reserved-name', 'illegal-name', 'reference-not-allowed', 'no-endpoints', 'expired'],
        ...['expiry-malformed', 'claimed-twice'],
      ];
      const reasons = found.map(({ reason }) => reason).filter((reason) => certain.includes(reason));
      expect(reasons.length > 0).toBe(name !== 'nothing');
      if (name === 'nothing') expect(found).toEqual([]);
    },
  );

  it('takes another UID of the resolver', async () => {
    const changes = config('uid: 1337,', 'uid: 1337, exe: /opt/supervisor,');
    expect((await validate(changes, '--resolver-uid=1337')).code).toBe(0);
  });

  it('prints the same as JSON, mistakes of the loader included', async () => {
    const predicted = JSON.parse((await validate(gitlab('team-a', 'team-b'), '--output=json')).out);
    expect(predicted).toMatchObject({
      valid: false,
      findings: [
        { severity: 'error', by: ['secret-resolver'], file: 'providers/gitlab.yaml', line: 6, column: 7 },
      ],
      providers: [{ name: 'bulk' }, { name: 'gitlab' }, { name: 'model' }, { name: 'tls' }],
      callers: [{ name: 'supervisor', uid: 1337, providers: ['bulk', 'gitlab', 'model', 'tls'] }],
    });
    const { code, out } = await validate(config('providersDir', 'providerDir'), '--output=json');
    expect(code).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ valid: false, findings: [{ field: 'providerDir', line: 2 }] });
  });

  it.each([
    [
      'a provider file',
      'providers/gitlab.yaml',
      {},
      'is a provider file [secret-resolver]\n    fix: give the configuration, whose providersDir is the folder of this file',
    ],
    [
      'a profile',
      'profiles/gitlab.yaml',
      {},
      'is a provider profile [secret-resolver]\n    fix: give the configuration, or run `secret-resolver profile lint` on this file',
    ],
    ['a list of profiles', 'p.yaml', { 'p.yaml': 'profiles: []\n' }, 'is a provider profile'],
    [
      'a manifest',
      'm.yaml',
      { 'm.yaml': 'apiVersion: v1\nkind: ConfigMap\ndata: {}\n' },
      'is a Kubernetes manifest',
    ],
  ])('recognises %s in place of the configuration', async (_, file, changes, expected) => {
    const { code, out } = await validate(changes, file);
    expect({ code, out }).toEqual({
      code: 2,
      out: expect.stringContaining(`${file}:1:1: error: ${expected}`),
    });
  });
});
