/**
 * People paste tokens into the wrong place. Wherever in a file a secret stands, nothing that is written about
 * the file may repeat it: no issue, no error, no warning of a library on stderr.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { isMap, isScalar, isSeq, type Node, parseDocument, type Scalar, visit } from 'yaml';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { ConfigError } from '../../src/domain/errors.ts';
import { shownName } from '../../src/domain/shown-name.ts';
import { cli } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { ENVIRONMENT, MISTAKES, SYNTAX } from './examples.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => workspace[Symbol.dispose]());

const warnings: string[] = [];
const note = (warning: Error) => warnings.push(warning.message);
process.on('warning', note);
afterAll(() => {
  process.off('warning', note);
});

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
  credentialsFrom:
    - source: {type: kubernetesSecret, name: other}
      mode: allKeys
      rename: {a: B}
  endpoints: [{host: a.example, port: 443, path: /x}]
`;
const PROFILE = `id: custom
credentials:
  - {name: token, env_vars: [GITLAB_TOKEN], required: true}
endpoints:
  - {host: a.example, ports: [443], path: /x}
`;

/** All that loading says about the file; empty where it finds nothing wrong. */
function said(): string {
  warnings.length = 0;
  try {
    loadConfig(workspace.configFile, ENVIRONMENT);
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return `${(error as Error).stack} ${JSON.stringify((error as ConfigError).issues)}`;
  }
}

function expectSilence(secret: string, where: string): boolean {
  const text = said();
  expect(text + warnings.join(), where).not.toContain(secret);
  return text !== '';
}

/** The text with a secret in the place of each name and value in turn, and as a new entry of each map and list. */
function* planted(text: string, secret: string): Generator<[where: string, text: string]> {
  let count = 0;
  visit(parseDocument(text), { Node: () => void count++ });
  for (let index = 0; index < count; index++) {
    for (const how of ['replaced', 'added', 'as name', 'in a list'] as const) {
      const document = parseDocument(text);
      let at = -1;
      visit(document, {
        Node: (_key, node: Node) => {
          at += 1;
          if (at !== index) return undefined;
          if (how === 'replaced') return document.createNode(secret);
          if (how === 'as name') return document.createNode({ [secret]: 1 });
          if (how === 'in a list') return document.createNode([secret]);
          if (isMap(node)) node.add(document.createPair(secret, secret));
          else if (isSeq(node)) node.add(document.createNode(secret));
          else if (isScalar(node)) node.value = `${String((node as Scalar).value)} ${secret}`;
          return visit.BREAK;
        },
      });
      yield [`node ${index} ${how}`, document.toString()];
    }
  }
}

const TARGETS: readonly (readonly [name: string, text: () => string, write: (text: string) => void])[] = [
  [
    'the configuration',
    () => `sandbox: {id: a, name: b, namespace: c}
secretsRoot: /s
providersDir: ${workspace.root}/providers
profilesDir: ${workspace.root}/profiles
socket: {path: /run/a/b.sock, mode: "0660", gid: 5}
references: {allow: [{namespace: a, name: b, keys: [c]}]}
callers: [{name: a, uid: 1, gid: 2, exe: /a, providers: [x]}]
agent: {uid: 1000, gid: 1000}
health: {listen: "127.0.0.1:1"}
log: {level: info}
openshell: {package: a.b, overLimit: warn}
boundary: {warn: [a], trusted: [{uid: 0, exe: /x}]}
`,
    (text) => writeFileSync(workspace.configFile, text),
  ],
  ['a provider', () => PROVIDER, (text) => workspace.writeProvider('p.yaml', text)],
  ['a profile', () => PROFILE, (text) => writeFileSync(join(workspace.root, 'profiles', 'p.yaml'), text)],
];

test.each(TARGETS)('a secret anywhere in %s is never repeated', (_name, text, write) => {
  const secret = newSecret();
  let complaints = 0;
  for (const [where, wrong] of planted(text(), secret)) {
    write(wrong);
    if (expectSilence(secret, `${where}\n`)) complaints += 1;
  }
  // Most of these are mistakes: a loader that found none would pass the rest for nothing.
  expect(complaints).toBeGreaterThan(20);
});

test('a secret in two places that must differ is not repeated', () => {
  const secret = newSecret();
  const provider = (name: string, key: string) =>
    PROVIDER.replace('nvbugs-gitlab', name).replace('GITLAB_TOKEN', key).replace('B}', `${key}}`);
  workspace.writeProvider('a.yaml', provider(secret, 'A'));
  workspace.writeProvider('b.yaml', provider(secret, 'A'));
  writeFileSync(join(workspace.root, 'profiles', 'a.yaml'), `id: ${secret}\n---\nid: ${secret}\n`);
  expect(expectSilence(secret, 'names')).toBe(true);
});

test('a secret in broken YAML is never repeated', () => {
  const secret = newSecret();
  const texts = [
    `a: *${secret}`,
    `a: &${secret}`,
    `a: !${secret} b`,
    `a: !<${secret}> b`,
    `%${secret}\n---\na: 1`,
    `a: "${secret}`,
    `a: '${secret}`,
    `a: [${secret}`,
    `{${secret}`,
    `a: b: ${secret}`,
    `? {${secret}: 1}\n: 1`,
    `? [${secret}]\n: 1`,
    `? ${secret}`,
    `- ${secret}\na: 1`,
    `${secret}\na: 1`,
    `${secret}: 1\n${secret}: 2`,
    `a: |${secret}\n`,
    `a: "\\q${secret}"`,
    `a:\n\t${secret}: 1`,
    `@${secret}`,
    `\`${secret}`,
    `a: !!binary "${secret}"`,
    `a: !!set {${secret}}`,
    `a: !!omap [${secret}]`,
    `<<: ${secret}`,
    `a: !!int ${secret}`,
    `... ${secret}`,
    `--- ${secret} ${secret}: 1`,
  ];
  for (const text of texts) {
    for (const [, , write] of TARGETS) {
      workspace.writeConfig({});
      write(text);
      expect(expectSilence(secret, text), text).toBe(true);
      write('provider: {name: a, type: b, credentials: {}}');
    }
  }
});

test('a secret in the text of each mistake and cut off anywhere is never repeated', () => {
  const secret = newSecret();
  for (const { kind, text } of MISTAKES) {
    const target = TARGETS.find(([name]) => name.endsWith(kind === 'config' ? 'configuration' : kind));
    for (const word of new Set(text.match(/[A-Za-z0-9]{2,}/g))) {
      target?.[2](text.replace(word, secret));
      expectSilence(secret, `${text} ${word}`);
    }
  }
  const whole = PROVIDER.replaceAll('token', secret).replaceAll('a.example', secret);
  for (let end = 0; end < whole.length; end += 3) {
    workspace.writeConfig({});
    workspace.writeProvider('p.yaml', whole.slice(0, end));
    expectSilence(secret, `cut at ${end}`);
  }
});

test('the command line says no more than the loader', async () => {
  const secret = newSecret();
  for (const text of [
    `a: *${secret}\n`,
    `? {${secret}: 1}\n: 2\n`,
    `${secret}: 1\n`,
    `agent: ${secret}\n`,
    secret,
  ]) {
    writeFileSync(workspace.configFile, text);
    const { code, stdout, stderr } = await cli(['config', 'validate', workspace.configFile]);
    expect(code).toBe(2);
    expect(stdout).toMatch(/^.*config\.yaml:1:\d+: error: .+\n {4}fix: .+\n/);
    expect(`${stdout}${stderr}`).not.toContain(secret);
  }
});

test('an unknown name is repeated where it reads as words, and only there', () => {
  for (const name of [
    'pth',
    'providerProfileKeys',
    'GITLAB_TOKEN',
    'AWS_SECRET_ACCESS_KEY_2',
    'v7_X',
    'my-field',
    'S3_KEY',
    'nvbugs-gitlab',
    'team42',
  ])
    expect(shownName(name)).toBe(name);
  // Shapes of tokens, made here; none of them was ever one.
  for (const prefix of ['', 'ghp_', 'glpat-', 'sk-', 'AKIA', 'xoxb-', 'eyJ'])
    for (let round = 0; round < 50; round++) {
      const token = newSecret('x').slice(2);
      expect(shownName(`${prefix}${token.slice(0, 20)}`)).toBe('<name>');
      expect(shownName(`${prefix}${Buffer.from(token, 'hex').toString('base64url')}`)).toBe('<name>');
    }
  expect(shownName('ghp_8RoZntmkYxm_2c_xIjbasg')).toBe('<name>');
  for (const odd of ['', 'a b', 'a\nb', '{ a: 1 }', 'ü', 'x'.repeat(49)])
    expect(shownName(odd)).toBe('<name>');
});

test('YAML that is wrong in every file at once is still told without content', () => {
  const secret = newSecret();
  for (const [name, text] of SYNTAX) {
    if (text.length > 10_000) continue;
    workspace.writeProvider('p.yaml', `# ${secret}\n${text}\n# ${secret}`);
    writeFileSync(join(workspace.root, 'profiles', 'p.yaml'), `${text}\n${secret}`);
    expectSilence(secret, name);
  }
});
