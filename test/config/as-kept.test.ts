/**
 * Profile and provider files as people keep them: exported in a list, several in a file, commented, saved on Windows, with
 * anchors. Each loads as the plain form does, or is refused with file and line.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { ConfigError } from '../../src/domain/errors.ts';
import { Workspace } from '../support/workspace.ts';
import { ENVIRONMENT } from './examples.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => workspace[Symbol.dispose]());

const PROFILE = `id: gitlab
display_name: GitLab
credentials:
  - {name: token, env_vars: [GITLAB_TOKEN]}
endpoints:
  - {host: gitlab.example.com, port: 443}
`;
const OTHER = PROFILE.replace('gitlab\n', 'other\n').replace('GITLAB', 'OTHER');
const PROVIDER = `provider:
  name: gitlab
  type: gitlab
  credentials:
    GITLAB_TOKEN:
      source: {type: kubernetesSecret, name: s, key: token}
`;
const BOM = '\uFEFF';
const crlf = (text: string) => text.replaceAll('\n', '\r\n');
const listed = (...profiles: string[]) =>
  profiles.map((text) => text.replace(/^/, '- ').replaceAll(/\n(?=.)/g, '\n  ')).join('');

function load(profile: string, provider: string) {
  writeFileSync(join(workspace.root, 'profiles/p.yaml'), profile);
  writeFileSync(join(workspace.root, 'providers/p.yaml'), provider);
  return loadConfig(workspace.configFile, ENVIRONMENT).providers;
}

function complaint(profile: string, provider: string): string {
  try {
    load(profile, provider);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.replaceAll(`${workspace.root}/`, '');
  }
  return 'no complaint';
}

const COMMENTED = (text: string) =>
  `# Ours. Ask #platform.\n---\n${text.replaceAll('\n', ' # why\n')}# end\n...\n`;

const PROFILES: readonly [how: string, text: string][] = [
  ['in a list under `profiles`, as an export of several writes', `profiles:\n${listed(PROFILE, OTHER)}`],
  ['in a list at the top', listed(OTHER, PROFILE)],
  ['alone in a list', `profiles:\n${listed(PROFILE)}`],
  ['in several documents', `---\n${OTHER}---\n${PROFILE}`],
  ['in a list in the second document', `${OTHER}---\nprofiles:\n${listed(PROFILE)}`],
  ['with comments and marks', COMMENTED(PROFILE)],
  ['with the line ends of Windows', crlf(PROFILE)],
  ['with a byte order mark', BOM + PROFILE],
  ['with both', BOM + crlf(PROFILE)],
  ['in several documents with both', BOM + crlf(`${OTHER}---\n${PROFILE}`)],
  ['without a line end', PROFILE.trimEnd()],
  ['with white space behind', PROFILE.replaceAll('\n', '  \n')],
  [
    'with anchors',
    PROFILE.replace('[GITLAB_TOKEN]', '&names [GITLAB_TOKEN]').replace(
      '\nendpoints',
      '\nrelated: *names\nendpoints',
    ),
  ],
  ['with a number as an exporter writes it', `${PROFILE}resource_version: 7\nannotations: {a: b}\n`],
  [
    'as JSON',
    `${JSON.stringify({
      id: 'gitlab',
      credentials: [{ name: 'token', env_vars: ['GITLAB_TOKEN'] }],
      endpoints: [{ host: 'gitlab.example.com', port: 443 }],
    })}`,
  ],
];

const PROVIDERS: readonly [how: string, text: string][] = [
  ['with comments and marks', COMMENTED(PROVIDER)],
  ['with the line ends of Windows', crlf(PROVIDER)],
  ['with a byte order mark', BOM + PROVIDER],
  ['with both', BOM + crlf(PROVIDER)],
  ['without a line end', PROVIDER.trimEnd()],
  ['with anchors', PROVIDER.replace('name: gitlab', 'name: &id gitlab').replace('type: gitlab', 'type: *id')],
];

describe('what loads as the plain form does', () => {
  it.each(PROFILES)('a profile %s', (_, text) => {
    const plain = load(PROFILE, PROVIDER);
    expect(plain).toMatchObject([{ name: 'gitlab', credentials: [{ key: 'GITLAB_TOKEN' }] }]);
    expect(load(text, PROVIDER)).toEqual(plain);
  });

  it.each(PROVIDERS)('a provider file %s', (_, text) => {
    expect(load(PROFILE, text)).toEqual(load(PROFILE, PROVIDER));
  });

  it('several providers in one file, each as its own', () => {
    const other = PROVIDER.replace('name: gitlab', 'name: other')
      .replaceAll('GITLAB', 'OTHER')
      .replace('type: gitlab', 'type: other');
    const both = load(`${PROFILE}---\n${OTHER}`, BOM + crlf(`${PROVIDER}---\n${other}`));
    expect(both.map(({ name }) => name)).toEqual(['gitlab', 'other']);
    expect([both[0]]).toEqual(load(PROFILE, PROVIDER));
  });
});

describe('what is refused at its line', () => {
  it.each<[string, string, string]>([
    [
      'the second of a list',
      `profiles:\n${listed(PROFILE, OTHER.replace('host', 'hots'))}`,
      ':13:7: profiles[1].endpoints[0].host: is missing',
    ],
    [
      'the second of several documents',
      crlf(`${PROFILE}---\n${OTHER.replace('id: other', 'id: A B')}`),
      ':8:1: id: ',
    ],
    [
      'an id twice in a list',
      `profiles:\n${listed(PROFILE, PROFILE)}`,
      ':8:3: profiles[1].id: is the id of another profile too',
    ],
    [
      'an id twice in two documents',
      `${PROFILE}---\n${PROFILE}`,
      ':8:1: id: is the id of another profile too',
    ],
    ['an empty document before it', `---\n---\n${PROFILE}`, ':1:4: is an empty document (remove its "---")'],
    ['an empty document behind it', `${PROFILE}---\n`, ':7:4: is an empty document'],
    ['text in a list', `profiles:\n  - gitlab\n`, ':2:5: '],
    ['a tab in a file of Windows', crlf('id: a\ncredentials:\n\t- {}\n'), ':3:1: not valid YAML: a tab'],
    ['a mistake after a byte order mark', `${BOM}id: a b\n`, ':1:'],
    [
      'an alias of the document before',
      `x: &x [A]\n${PROFILE}---\n${OTHER.replace('[OTHER_TOKEN]', '*x')}`,
      ':12:29: is an alias of an anchor that does not exist',
    ],
  ])('a profile: %s', (_, text, expected) => {
    expect(complaint(text, PROVIDER)).toContain(`profiles/p.yaml${expected}`);
  });

  it.each<[string, string, string]>([
    [
      'the same provider in two documents',
      crlf(`${PROVIDER}---\n${PROVIDER}`),
      ':9:3: provider.name: gitlab is the name of a provider in providers/p.yaml too',
    ],
    ['a list', listed(PROVIDER), ':1:1: '],
    ['a list under `providers`', `providers:\n${listed(PROVIDER)}`, ':1:1: provider: is missing'],
    ['a profile in its place', PROFILE, ':1:1: '],
    ['a mistake after a byte order mark', BOM + crlf(PROVIDER.replace('key:', 'keys:')), ':6:'],
  ])('a provider file: %s', (_, text, expected) => {
    expect(complaint(PROFILE, text)).toContain(`providers/p.yaml${expected}`);
  });
});
