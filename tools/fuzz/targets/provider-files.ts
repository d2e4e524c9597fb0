/** Any text as configuration file and as provider files, through loadConfig. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { type Config, partOf, referencedSecrets } from '../../../src/config/config.ts';
import { gatewaySlot } from '../../../src/consumers/gateway-driver/settings.ts';
import { loadConfig } from '../../../src/consumers/load-config.ts';
import { ENVIRONMENT_NAME } from '../../../src/domain/names.ts';
import { resolve } from '../../../src/snapshot/resolve.ts';
import { volumeDirectory } from '../../../src/sources/index.ts';
import { wantedKeys } from '../../../src/sources/wanted.ts';
import { ENVIRONMENT, MISTAKES, SYNTAX } from '../../../test/config/examples.ts';
import { Workspace } from '../../../test/support/workspace.ts';
import { loadedOrComplained } from '../config-complaint.ts';
import { Planted, SECRET_WORD } from '../planted.ts';
import { must, type Target } from '../target.ts';
import { MAX_YAML_BYTES, YAML_WORDS } from '../yaml-words.ts';

/** Between the files of an input: the first is a provider's, and each next one says which it is. */
const NEXT_FILE = /^%%% (config|provider|profile)\n/m;
const MAX_FILES = 6;

const PROVIDER = `provider:
  name: nvbugs-gitlab
  type: custom
  credentials:
    GITLAB_TOKEN:
      source: {type: kubernetesSecret, namespace: tenant, name: nvbugs, key: token}
      expiresAt: 2027-01-31T00:00:00Z
      required: true
      trim: none
      format: text
    OTHER: {source: {type: kubernetesSecret, name: nvbugs, key: db/other}, expiresAt: {key: until}}
  credentialsFrom:
    - source: {type: kubernetesSecret, name: other}
      mode: allKeys
      rename: {a.b: B}
  endpoints: [{host: a.example, port: 443, path: /x}]
`;
const CONFIG = `%%% config
sandbox: {id: a, name: b, namespace: c}
secretsRoot: /s
providersDir: /p
profilesDir: /q
socket: {path: /run/a/b.sock, mode: "0660", gid: 5}
references: {allow: [{namespace: a, name: b, keys: [c]}]}
callers: [{name: a, uid: 1, gid: 2, exe: /a, providers: [x]}]
agent: {uid: 1000, gid: 1000}
health: {listen: "127.0.0.1:1"}
metrics: {listen: "[::1]:2"}
log: {level: info}
audit: {path: /var/log/a}
openshell: {package: a.b, overLimit: warn}
gatewayDriver:
  socket: {path: /run/d/d.sock, mode: "0666"}
  callers: [{name: gateway, uid: 3}]
  handleKey: {name: seal, key: key, previousKey: previous}
  workspaces: [{name: team-a, secrets: [{name: gitlab, keys: [p-*]}]}]
boundary: {warn: [a], trusted: [{uid: 0, exe: /x}]}
`;
const FIELDS = [...new Set(`${PROVIDER}${CONFIG}`.match(/[A-Za-z]{3,}/g))];

/** What a test may replace. */
export interface Subject {
  readonly load: typeof loadConfig;
}

export const providerFiles: Target<Subject> = {
  name: 'provider-files',
  covers: ['src/config/', 'src/domain/errors.ts'],
  maxBytes: MAX_YAML_BYTES,
  maxCpuMs: 1_000,
  words: [
    ...YAML_WORDS,
    ...FIELDS,
    ...[
      '%%% config\n',
      '%%% provider\n',
      '%%% profile\n',
      '../',
      '/..',
      '"*"',
      'v7_X',
      'mode: providerProfileKeys',
    ],
    ...[
      `name: ${SECRET_WORD}`,
      `key: ${SECRET_WORD}`,
      `type: ${SECRET_WORD}`,
      'uid: 65534',
      'uid: 0',
      '65536',
      '0.5',
    ],
  ],
  seeds: [
    PROVIDER,
    `${PROVIDER}${CONFIG}`,
    `${PROVIDER}---\n${PROVIDER}%%% provider\n${PROVIDER}`,
    'provider: {name: a, type: known, credentialsFrom: [{source: {type: kubernetesSecret, name: x}, mode: providerProfileKeys}]}\n%%% profile\nid: known\ncredentials: [{name: t, env_vars: [T, U]}]\n',
    ...MISTAKES.map(({ kind, text }) => (kind === 'provider' ? text : `%%% ${kind}\n${text}`)),
    ...SYNTAX.filter(([, text]) => text.length < 10_000).map(([, text]) => text),
  ],

  async open({ load = loadConfig } = {}) {
    const workspace = new Workspace();
    const { root, configFile } = workspace;
    const planted = new Planted();
    const folders = { providersDir: join(root, 'providers'), profilesDir: join(root, 'profiles') };
    const stopListening = listenToWarnings((text) => planted.notIn(text, 'a warning'));
    return {
      run: (input) => {
        const [first = '', ...others] = planted.into(input).toString('utf8').split(NEXT_FILE);
        for (const folder of Object.values(folders))
          for (const name of readdirSync(folder)) rmSync(join(folder, name));
        workspace.writeConfig({});
        writeFileSync(join(folders.providersDir, '0.yaml'), first);
        for (let at = 0; at + 1 < others.length && at < 2 * MAX_FILES; at += 2) {
          const folder = others[at] === 'profile' ? folders.profilesDir : folders.providersDir;
          writeFileSync(
            others[at] === 'config' ? configFile : join(folder, `${at}.yaml`),
            others[at + 1] ?? '',
          );
        }
        const loaded = loadedOrComplained(() => load(configFile, ENVIRONMENT, folders), planted, root);
        if ('value' in loaded) checkConfig(loaded.value);
      },
      [Symbol.asyncDispose]: async () => {
        stopListening();
        workspace[Symbol.dispose]();
      },
    };
  },
};

/** What the rest of the house takes for granted. */
function checkConfig(config: Config): void {
  must(Object.isFrozen(config) && Object.isFrozen(config.providers), 'a configuration can be changed');
  must(
    config.socket.path.startsWith('/') && !config.socket.path.includes('/../'),
    'the socket stands anywhere',
  );
  must((config.socket.mode & ~0o666) === 0, 'the socket has a mode that none may have');
  for (const { uid } of [...config.callers, ...(partOf(config, gatewaySlot)?.callers ?? [])])
    must(
      Number.isInteger(uid) && uid >= 0 && uid !== 65_534 && uid !== config.agent.uid,
      'a caller that none may be',
    );
  for (const secret of referencedSecrets(config)) {
    const below = config.secretsRoot.endsWith(sep) ? config.secretsRoot : `${config.secretsRoot}${sep}`;
    const directory = volumeDirectory(config, secret);
    must(directory.startsWith(below), 'a Secret is looked for outside of the root');
    must(!secret.name.includes('/') && !secret.namespace.includes('/'), 'the name of a Secret is a path');
    wantedKeys(config, secret);
  }
  const names = config.providers.map(({ name }) => name);
  must(new Set(names).size === names.length, 'two providers have one name');
  for (const { credentials, from, endpoints } of config.providers) {
    for (const { key, reference, expiresAt } of credentials) {
      must(ENVIRONMENT_NAME.test(key), 'a credential has an illegal name');
      must(
        !reference.key.split('/').includes('..') && !reference.key.startsWith('/'),
        'a key leaves its volume',
      );
      if (expiresAt !== undefined && 'atMs' in expiresAt)
        must(expiresAt.atMs > 0, 'an expiry that is no time');
    }
    for (const { rename } of from)
      for (const name of rename.values())
        must(ENVIRONMENT_NAME.test(name), 'a key is renamed to an illegal name');
    for (const { host, port } of endpoints)
      must(host !== '' && Number.isInteger(port) && port > 0 && port < 65_536, 'an endpoint that is none');
  }
  const { credentials } = resolve(config, new Map(), Date.now());
  must(credentials.length === 0, 'a credential without any Secret');
}

function listenToWarnings(hear: (text: string) => void): () => void {
  const listener = (warning: Error) => hear(`${warning.message} ${warning.stack}`);
  process.on('warning', listener);
  return () => void process.off('warning', listener);
}
