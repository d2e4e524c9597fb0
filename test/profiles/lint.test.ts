/** Every rule of the linter with the location that it reports, and the command line. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, describe, expect, it } from 'vitest';
import { lintProfile } from '../../src/config/profile-lint.ts';
import { parseYaml } from '../../src/config/yaml-source.ts';
import { formatIssue } from '../../src/domain/errors.ts';

const HEAD = 'id: gitlab\ncredentials:\n';
const CREDENTIAL = '  - {name: token, env_vars: [TOKEN]}\n';
const ENDPOINTS = 'endpoints:\n  - {host: gitlab.example.com}\n';
const GOOD = `${HEAD}${CREDENTIAL}${ENDPOINTS}`;

function lint(text: string): string[] {
  return parseYaml('p.yaml', text).flatMap((source) =>
    lintProfile(source).findings.map(({ severity, issue }) => `${severity}: ${formatIssue(issue)}`),
  );
}

const credential = (fields: string) => `${HEAD}  - {name: token, env_vars: [TOKEN], ${fields}}\n${ENDPOINTS}`;
const endpoint = (fields: string) => `${HEAD}${CREDENTIAL}endpoints:\n  - {${fields}}\n`;

describe('profile lint', () => {
  it('finds nothing in a good profile', () => {
    expect(lint(GOOD)).toEqual([]);
    const full = credential(
      'description: a, required: true, auth_style: path, path_template: "/x{credential}", refresh: {strategy: x}',
    );
    expect(lint(`${full}display_name: G\ncategory: other\ninference_capable: false\nbinaries: []\n`)).toEqual(
      [],
    );
    expect(lint('id: pypi\nendpoints:\n  - {host: pypi.org, port: 443}\n')).toEqual([]);
    expect(lint(`${HEAD}  - {name: grant, token_grant: {}}\n${ENDPOINTS}`)).toEqual([]);
  });

  it.each<readonly [string, string, string]>([
    ['no id', GOOD.replace('id: gitlab', ''), 'error: p.yaml:2:1: id: is missing'],
    [
      'an id in capitals',
      GOOD.replace('gitlab\n', 'GitLab\n'),
      'error: p.yaml:1:1: id: must be lowercase kebab-case',
    ],
    ['an id with two dashes', GOOD.replace('gitlab\n', 'a--b\n'), 'error: p.yaml:1:1: id: must be'],
    [
      'an environment name that is none',
      GOOD.replace('[TOKEN]', '[MY-TOKEN]'),
      'error: p.yaml:3:30: credentials[0].env_vars[0]: is not an environment variable name',
    ],
    [
      'an environment name that reads as a revision',
      GOOD.replace('[TOKEN]', '[v7_TOKEN]'),
      'error: p.yaml:3:30: credentials[0].env_vars[0]: is reserved: it reads as a revision or a handle',
    ],
    [
      'an environment name twice in a credential',
      GOOD.replace('[TOKEN]', '[TOKEN, TOKEN]'),
      'error: p.yaml:3:37: credentials[0].env_vars[1]: TOKEN is declared a second time',
    ],
    [
      'an environment name in two credentials',
      GOOD.replace(ENDPOINTS, `  - {name: other, env_vars: [TOKEN]}\n${ENDPOINTS}`),
      'error: p.yaml:4:30: credentials[1].env_vars[0]: TOKEN is declared a second time',
    ],
    [
      'a credential name twice',
      GOOD.replace(ENDPOINTS, `  - {name: token, env_vars: [OTHER]}\n${ENDPOINTS}`),
      'error: p.yaml:4:6: credentials[1].name: is the name of another credential too',
    ],
    [
      'no environment name',
      GOOD.replace(', env_vars: [TOKEN]', ''),
      'error: p.yaml:3:5: credentials[0]: has no env_vars',
    ],
    [
      'more environment names than OpenShell takes',
      GOOD.replace('[TOKEN]', `[${Array.from({ length: 33 }, (_, index) => `T${index}`).join(', ')}]`),
      'error: p.yaml:2:1: credentials: declares 33 environment names; OpenShell takes 32',
    ],
    [
      'an unknown way to present',
      credential('auth_style: magic'),
      'error: p.yaml:3:38: credentials[0].auth_style: is not a way to present a credential',
    ],
    [
      'a header without a name',
      credential('auth_style: header'),
      'credentials[0].auth_style: header needs header_name',
    ],
    [
      'a header with an empty name',
      credential("auth_style: header, header_name: ''"),
      'credentials[0].auth_style: header needs header_name',
    ],
    ['a query without a parameter', credential('auth_style: query'), 'auth_style: query needs query_param'],
    ['a path without a template', credential('auth_style: path'), 'auth_style: path needs path_template'],
    [
      'a template without a place',
      credential('auth_style: path, path_template: /bot'),
      'error: p.yaml:3:56: credentials[0].path_template: has no place for the credential',
    ],
    ['no endpoint', `${HEAD}${CREDENTIAL}`, 'warning: p.yaml:1:1: endpoints: declares no endpoint'],
    ['an endpoint without a host', endpoint('port: 443'), 'error: p.yaml:5:5: endpoints[0].host: is missing'],
    [
      'braces in a host',
      endpoint('host: "{a,b}.example.com"'),
      'error: p.yaml:5:6: endpoints[0].host: must be a host',
    ],
    ['a scheme in a host', endpoint('host: "https://example.com"'), 'endpoints[0].host: must be a host name'],
    ['a port in a host', endpoint('host: "example.com:443"'), 'endpoints[0].host: must be a host name'],
    [
      'an empty label',
      endpoint('host: a..example.com'),
      'error: p.yaml:5:6: endpoints[0].host: has an empty label',
    ],
    [
      'a question mark',
      endpoint('host: "a?.example.com"'),
      'error: p.yaml:5:6: endpoints[0].host: has "?" or brackets',
    ],
    [
      'a glob over everything',
      endpoint('host: "*"'),
      'warning: p.yaml:5:6: endpoints[0].host: is a glob over domains',
    ],
    [
      'a glob over a top level',
      endpoint('host: "*.com"'),
      'warning: p.yaml:5:6: endpoints[0].host: is a glob',
    ],
    ['port 0', endpoint('host: example.com, port: 0'), 'error: p.yaml:5:25: endpoints[0].port: '],
    [
      'a port above 65535',
      endpoint('host: example.com, ports: [65536]'),
      'error: p.yaml:5:33: endpoints[0].ports[0]: ',
    ],
    [
      'a port that ports does not have',
      endpoint('host: example.com, port: 80, ports: [443]'),
      'error: p.yaml:5:25: endpoints[0].port: is not in ports',
    ],
    [
      'a path that is none',
      endpoint('host: example.com, path: api'),
      'error: p.yaml:5:25: endpoints[0].path: must be empty',
    ],
    [
      'a query in a path',
      endpoint('host: example.com, path: "/a?b"'),
      'endpoints[0].path: must be empty or begin',
    ],
    [
      'braces in a path',
      endpoint('host: example.com, path: "/{a,b}"'),
      'endpoints[0].path: must be empty or begin',
    ],
    [
      'an endpoint twice',
      endpoint('host: example.com, ports: [443, 443]'),
      'warning: p.yaml:5:5: endpoints[0]: is a duplicate',
    ],
    [
      'discovery of nobody',
      `${GOOD}discovery: {credentials: [nobody]}\n`,
      'error: p.yaml:6:27: discovery.credentials[0]: names no credential of this profile',
    ],
    [
      'a misspelt field',
      `${GOOD}credentals: []\n`,
      'warning: p.yaml:6:1: credentals: is not a field of a profile',
    ],
    [
      'a misspelt field of a credential',
      credential('env_var: [X]'),
      'warning: p.yaml:3:38: credentials[0].env_var: is not a field of a profile',
    ],
    ['a field twice', `${GOOD}id: other\n`, 'duplicate field'],
  ])('finds %s', (_, text, expected) => {
    let found: string[];
    try {
      found = lint(text);
    } catch (error) {
      found = [String(error)];
    }
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
  });
});

describe('secret-resolver profile lint', () => {
  const folder = mkdtempSync(join(tmpdir(), 'profile-lint-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const run = (...files: string[]) =>
    execa(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), 'profile', 'lint', ...files], {
      cwd: folder,
      reject: false,
    });

  it('exits with 0 and a count if there are no mistakes', async () => {
    writeFileSync(join(folder, 'good.yaml'), `${GOOD}---\nid: warned\ncredentials:\n${CREDENTIAL}`);
    const { exitCode, stdout, stderr } = await run('good.yaml');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toBe(
      'warning: good.yaml:7:1: endpoints: declares no endpoint, so its credentials are withheld (name the hosts that may receive them, here or in the provider file)\n2 profiles, 0 errors, 1 warning',
    );
  });

  it('exits with 2 and reports every mistake of every file', async () => {
    writeFileSync(join(folder, 'a.yaml'), GOOD);
    writeFileSync(join(folder, 'b.yaml'), GOOD);
    writeFileSync(join(folder, 'broken.yaml'), 'id: [');
    const { exitCode, stdout } = await run('a.yaml', 'b.yaml', 'broken.yaml', 'none.yaml');
    expect(exitCode).toBe(2);
    expect(stdout).toContain('error: b.yaml:1:1: id: is the id of a profile in a.yaml too');
    expect(stdout).toContain('error: broken.yaml:1:');
    expect(stdout).toContain('error: none.yaml: cannot be read: ENOENT');
    expect(stdout).toMatch(/2 profiles, [3-9] errors, 0 warnings$/);
  });

  it("never quotes a file's content", async () => {
    writeFileSync(
      join(folder, 'pasted.yaml'),
      'id: glpat-PastedByMistake\ncredentials: glpat-PastedByMistake\n',
    );
    const { exitCode, stdout, stderr } = await run('pasted.yaml');
    expect(exitCode).toBe(2);
    expect(`${stdout}${stderr}`).not.toContain('PastedByMistake');
  });
});
