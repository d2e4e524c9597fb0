/** Every rule of the linter with the location that it reports, and the command line. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, describe, expect, it } from 'vitest';
import { lintProfiles } from '../../src/config/profile/lint.ts';
import { formatIssue } from '../../src/domain/errors.ts';

const HEAD = 'id: gitlab\ndisplay_name: GitLab\ncredentials:\n';
const CREDENTIAL = '  - {name: token, env_vars: [TOKEN]}\n';
const REST = 'port: 443, protocol: rest, access: read-write';
const ENDPOINTS = `endpoints:\n  - {host: gitlab.example.com, ${REST}}\n`;
const GOOD = `${HEAD}${CREDENTIAL}${ENDPOINTS}`;

function lint(text: string): string[] {
  return lintProfiles('p.yaml', text).flatMap(({ findings }) =>
    findings.map(
      ({ severity, by, issue }) => `${severity}: ${by}: ${formatIssue(issue).replace('p.yaml:', '')}`,
    ),
  );
}

const credential = (fields: string) => `${HEAD}  - {name: token, env_vars: [TOKEN], ${fields}}\n${ENDPOINTS}`;
const endpoint = (fields: string) => `${HEAD}${CREDENTIAL}endpoints:\n  - {${fields}}\n`;
const rest = (fields: string) => endpoint(`host: example.com, port: 443, protocol: rest, ${fields}`);
const mcp = (fields: string) => endpoint(`host: example.com, port: 443, protocol: mcp, ${fields}`);
const role = (outputs: string, name = 'AWS_ACCESS_KEY_ID') =>
  `${HEAD}  - {name: id, env_vars: [${name}], refresh: {strategy: aws_sts_assume_role, additional_outputs: [${outputs}]}}
  - {name: key, env_vars: [AWS_SECRET_ACCESS_KEY]}
  - {name: session, env_vars: [AWS_SESSION_TOKEN]}
${ENDPOINTS}`;
const OUTPUTS = '{output: secret_access_key, credential: key}, {output: session_token, credential: session}';

describe('profile lint', () => {
  it.each<[string, string]>([
    ['a good profile', GOOD],
    [
      'a profile without credentials',
      'id: pypi\ndisplay_name: PyPI\nendpoints:\n  - {host: pypi.org, port: 443}\n',
    ],
    [
      'a grant',
      `${HEAD}  - {name: grant, token_grant: {token_endpoint: "https://a.example/token"}}\n${ENDPOINTS}`,
    ],
    [
      'a grant of a Service',
      credential(
        'token_grant: {token_endpoint: "http://a.b.svc:8080/t"}, auth_style: Header, header_name: X',
      ),
    ],
    [
      'a style in capitals, as OpenShell trims and lowers it',
      credential('auth_style: " Bearer ", header_name: authorization'),
    ],
    ['a category with a dash', `${GOOD}category: Source-Control\n`],
    ['a binary with fields', `${GOOD}binaries: [/usr/bin/curl, {path: /usr/bin/git, harness: true}]\n`],
    [
      'what `provider profile export` writes',
      `${GOOD}resource_version: 3\nannotations: {team: a}\nsource: custom\nscope: global\n`,
    ],
    ['fields of 0.1.x', `${credential('stable_placeholder: true')}files: []\n`],
    ['a role with its outputs', role(OUTPUTS)],
    ['tcp', endpoint('host: example.com, port: 5432, protocol: tcp, allow_uninspected_credentials: true')],
    ['mcp', mcp('rules: [{allow: {method: tools/call, tool: "read_*"}}]')],
    ['all of mcp', mcp('mcp: {allow_all_known_mcp_methods: true}')],
    ['fields without a value', `${GOOD}description:\nbinaries:\ndiscovery:\n  credentials:\nannotations:\n`],
    ['a credential with fields without a value', credential('auth_style: , refresh: , token_grant: ~')],
    ['options without a value', rest('access: full, mcp: null, rules: , deny_rules: Null')],
    ['a null that is text', `${GOOD}description: null\n`],
    ['a handle in capitals', GOOD.replace('[TOKEN]', `[s${'A'.repeat(64)}_X]`)],
  ])('finds nothing in %s', (_, text) => {
    expect(lint(text)).toEqual([]);
  });

  it.each<readonly [string, string, string]>([
    ['no id', GOOD.replace('id: gitlab\n', ''), 'error: both: 1:1: id: is missing'],
    [
      'no display_name',
      GOOD.replace('display_name: GitLab\n', ''),
      'error: OpenShell: 1:1: display_name: is missing',
    ],
    [
      'an id in capitals',
      GOOD.replace('gitlab\n', 'GitLab\n'),
      'error: both: 1:1: id: must be lowercase kebab-case',
    ],
    ['an id with two dashes', GOOD.replace('gitlab\n', 'a--b\n'), 'error: both: 1:1: id: must be'],
    [
      'a list for a text',
      `${GOOD}description: []\n`,
      'error: OpenShell: 7:1: description: has the wrong type',
    ],
    [
      'a category that is none',
      `${GOOD}category: tools\n`,
      'error: OpenShell: 7:1: category: is not a category',
    ],
    [
      'an environment name that is none',
      GOOD.replace('[TOKEN]', '[MY-TOKEN]'),
      'error: secret-resolver: 4:30: credentials[0].env_vars[0]: is not an environment variable name',
    ],
    [
      'an environment name that reads as a revision',
      GOOD.replace('[TOKEN]', '[v7_TOKEN]'),
      'error: both: 4:30: credentials[0].env_vars[0]: is reserved',
    ],
    [
      'an environment name that controls programs',
      GOOD.replace('[TOKEN]', '[HTTPS_PROXY]'),
      'error: secret-resolver: 4:30: credentials[0].env_vars[0]: is reserved: it controls',
    ],
    [
      'an environment name twice in a credential',
      GOOD.replace('[TOKEN]', '[TOKEN, TOKEN]'),
      'error: OpenShell: 4:37: credentials[0].env_vars[1]: is declared a second time',
    ],
    [
      'an environment name in two credentials',
      GOOD.replace(ENDPOINTS, `  - {name: other, env_vars: [TOKEN]}\n${ENDPOINTS}`),
      'error: OpenShell: 5:30: credentials[1].env_vars[0]: is declared a second time',
    ],
    [
      'a credential name twice',
      GOOD.replace(ENDPOINTS, `  - {name: token, env_vars: [OTHER]}\n${ENDPOINTS}`),
      'error: OpenShell: 5:6: credentials[1].name: is the name of another credential too',
    ],
    [
      'an empty credential name',
      GOOD.replace('name: token', 'name: ""'),
      'error: both: 4:6: credentials[0].name: must not be empty',
    ],
    [
      'no environment name',
      GOOD.replace(', env_vars: [TOKEN]', ''),
      'error: secret-resolver: 4:5: credentials[0]: has no env_vars',
    ],
    [
      'more environment names than OpenShell takes',
      GOOD.replace('[TOKEN]', `[${Array.from({ length: 33 }, (_, index) => `T${index}`).join(', ')}]`),
      'error: secret-resolver: 3:1: credentials: declares 33 environment names',
    ],
    [
      'an unknown way to present',
      credential('auth_style: magic'),
      'error: OpenShell: 4:38: credentials[0].auth_style: is not a way to present a credential',
    ],
    [
      'bearer without a header',
      credential('auth_style: bearer'),
      'error: OpenShell: 4:38: credentials[0].auth_style: bearer needs header_name',
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
    [
      'a path, which no handle can be placed in',
      credential('auth_style: path, path_template: "/bot{credential}"'),
      'warning: secret-resolver: 4:38: credentials[0].auth_style: places the credential in a path',
    ],
    [
      'a refresh without a strategy',
      credential('refresh: {token_url: x}'),
      'error: OpenShell: 4:38: credentials[0].refresh.strategy: is not a refresh strategy',
    ],
    [
      'a negative time',
      credential('refresh: {strategy: static, max_lifetime_seconds: -1}'),
      'refresh.max_lifetime_seconds: must not be negative',
    ],
    [
      'material twice',
      credential('refresh: {strategy: static, material: [{name: a}, {name: a}]}'),
      'refresh.material[1].name: is the name of other material too',
    ],
    [
      'outputs of a strategy that makes none',
      role(OUTPUTS.split(', {')[0] ?? '', 'KEY').replace('aws_sts_assume_role', 'static'),
      'error: OpenShell: 4:61: credentials[0].refresh.additional_outputs: are not made by this strategy',
    ],
    [
      'a role without an output',
      role(OUTPUTS.split(', {')[0] ?? ''),
      'error: OpenShell: 4:88: credentials[0].refresh.additional_outputs: lacks session_token',
    ],
    [
      'a role under another name',
      role(OUTPUTS, 'MY_KEY'),
      'credentials[0].env_vars: must be AWS_ACCESS_KEY_ID',
    ],
    [
      'a role with an output for another name',
      role(OUTPUTS.replace('credential: key', 'credential: session')),
      'credential: names a credential with another env_var (declare AWS_SECRET_ACCESS_KEY there)',
    ],
    [
      'a grant over plain HTTP',
      credential('token_grant: {token_endpoint: "http://a.example/t"}'),
      'error: OpenShell: 4:52: credentials[0].token_grant.token_endpoint: must be an https URL',
    ],
    [
      'a grant without an endpoint',
      credential('token_grant: {audience: a}'),
      'error: OpenShell: 4:38: credentials[0].token_grant.token_endpoint: is missing (write a map of these fields: token_endpoint, audience,',
    ],
    [
      'a grant in a header of the connection',
      credential('token_grant: {token_endpoint: "https://a.example"}, header_name: Host'),
      'credentials[0].header_name: controls the connection itself',
    ],
    [
      'a grant that is not in a header, whatever its name',
      credential('token_grant: {token_endpoint: "https://a.example"}, auth_style: basic, header_name: Host'),
      'credentials[0].auth_style: must be bearer or header beside token_grant',
    ],
    ['no endpoint', `${HEAD}${CREDENTIAL}`, 'warning: secret-resolver: 1:1: endpoints: declares no endpoint'],
    [
      'an endpoint without a host',
      endpoint(REST),
      'error: both: 5:5: endpoints[0].host: is missing'.replace('5:5', '6:5'),
    ],
    [
      'braces in a host',
      endpoint(`host: "{a,b}.example.com", ${REST}`),
      'error: secret-resolver: 6:6: endpoints[0].host: must be a host',
    ],
    [
      'a scheme in a host',
      endpoint(`host: "https://example.com", ${REST}`),
      'endpoints[0].host: must be a host name',
    ],
    [
      'a port in a host',
      endpoint(`host: "example.com:443", ${REST}`),
      'endpoints[0].host: must be a host name',
    ],
    [
      'an empty label',
      endpoint(`host: a..example.com, ${REST}`),
      'endpoints[0].host: is no host pattern for OpenShell',
    ],
    [
      'two stars in a label',
      endpoint(`host: "a**.example.com", ${REST}`),
      'endpoints[0].host: is no host pattern for OpenShell',
    ],
    [
      'three stars',
      endpoint(`host: "***.example.com", ${REST}`),
      'endpoints[0].host: is no host pattern for OpenShell',
    ],
    [
      'an open bracket',
      endpoint(`host: "[ab.example.com", ${REST}`),
      'endpoints[0].host: is no host pattern for OpenShell',
    ],
    [
      'a question mark',
      endpoint(`host: "a?.example.com", ${REST}`),
      'warning: secret-resolver: 6:6: endpoints[0].host: has "?" or brackets',
    ],
    [
      'a label of two stars',
      endpoint(`host: "**.example.com", ${REST}`),
      'warning: secret-resolver: 6:6: endpoints[0].host: has "**"',
    ],
    [
      'a glob over everything',
      endpoint(`host: "*", ${REST}`),
      'warning: secret-resolver: 6:6: endpoints[0].host: is a glob over domains',
    ],
    [
      'a glob over a top level',
      endpoint(`host: "*.com", ${REST}`),
      'warning: secret-resolver: 6:6: endpoints[0].host: is a glob',
    ],
    [
      'no port',
      endpoint('host: example.com, protocol: rest, access: full'),
      'error: OpenShell: 6:5: endpoints[0].port: must be a port from 1 to 65535',
    ],
    [
      'a port above 65535',
      endpoint('host: example.com, ports: [65536], protocol: rest, access: full'),
      'endpoints[0]',
    ],
    [
      'a port that ports does not have',
      endpoint('host: example.com, port: 80, ports: [443], protocol: rest, access: full'),
      'error: secret-resolver: 6:25: endpoints[0].port: is not in ports',
    ],
    [
      'a path that is none',
      rest('access: full, path: api'),
      'error: secret-resolver: 6:66: endpoints[0].path: must be empty',
    ],
    ['a query in a path', rest('access: full, path: "/a?b"'), 'endpoints[0].path: must be empty or begin'],
    [
      'a star in a path',
      rest('access: full, path: "/a/*"'),
      'warning: secret-resolver: 6:66: endpoints[0].path: matches more in OpenShell',
    ],
    [
      'a star before the end',
      rest('access: full, path: "/a/*/b/**"'),
      'warning: secret-resolver: 6:66: endpoints[0].path: matches less in OpenShell',
    ],
    [
      'two stars within a segment',
      rest('access: full, path: "/a**"'),
      'endpoints[0].path: matches less in OpenShell',
    ],
    [
      'brackets in a path',
      rest('access: full, path: "/v[12]/a"'),
      'warning: secret-resolver: 6:66: endpoints[0].path: has brackets, which are a class',
    ],
    ...['/a;b', '/a%2Fb/**', '/[a/b', '/[ab]/**', '/caf\u00e9', '/a|b'].map(
      (path): [string, string, string] => [
        `a path that no request has: ${path}`,
        rest(`access: full, path: "${path}"`),
        'warning: secret-resolver: 6:66: endpoints[0].path: matches nothing in OpenShell',
      ],
    ),
    [
      'an endpoint twice',
      endpoint('host: example.com, ports: [443, 443], protocol: rest, access: full'),
      'warning: secret-resolver: 6:5: endpoints[0]: duplicate endpoint',
    ],
    [
      'no protocol',
      endpoint('host: example.com, port: 443'),
      'error: OpenShell: 6:5: endpoints[0]: receives credentials that OpenShell does not inspect (no protocol)',
    ],
    [
      'TLS that is passed through',
      rest('access: full, tls: skip'),
      'endpoints[0]: receives credentials that OpenShell does not inspect (tls: skip)',
    ],
    [
      'an unknown protocol',
      endpoint('host: example.com, port: 443, protocol: ftp, access: full'),
      'endpoints[0].protocol: is not a protocol',
    ],
    [
      'a protocol that allows nothing',
      rest('enforcement: enforce'),
      'error: OpenShell: 6:36: endpoints[0].protocol: rest needs access or rules',
    ],
    ['empty rules', rest('access: full, rules: []'), 'endpoints[0].rules: is empty'],
    [
      'rules and access',
      rest('access: full, rules: [{allow: {method: GET}}]'),
      'endpoints[0].access: and rules exclude each other',
    ],
    ['rules that allow nothing', rest('rules: [{}]'), 'endpoints[0].rules: allow nothing'],
    ['empty denials', rest('access: full, deny_rules: []'), 'endpoints[0].deny_rules: is empty'],
    [
      'denials of TCP',
      endpoint(
        'host: example.com, port: 443, allow_uninspected_credentials: true, deny_rules: [{method: GET}], access: full',
      ),
      'endpoints[0].deny_rules: need a protocol',
    ],
    [
      'a path of TCP',
      endpoint('host: example.com, port: 443, protocol: tcp, path: /a, allow_uninspected_credentials: true'),
      'endpoints[0].path: has no meaning for protocol tcp',
    ],
    ['access of MCP', mcp('access: full'), 'endpoints[0].access: has no meaning for protocol mcp'],
    [
      'JSON-RPC without rules',
      endpoint('host: example.com, port: 443, protocol: json-rpc'),
      'protocol: json-rpc needs rules',
    ],
    ['MCP without rules', mcp('enforcement: enforce'), 'protocol: mcp needs rules'],
    [
      'a tool of REST',
      rest('rules: [{allow: {method: GET, tool: a}}]'),
      'rules[0].allow.tool: has a meaning for protocol mcp only',
    ],
    [
      'a tool twice',
      mcp('rules: [{allow: {method: tools/call, tool: a, params: {name: b}}}]'),
      'rules[0].allow: has both tool and params.name',
    ],
    [
      'a tool of another method',
      mcp('rules: [{allow: {method: tools/list, tool: a}}]'),
      'rules[0].allow.method: must be tools/call',
    ],
    ['a rule of MCP without method', mcp('rules: [{allow: {tool: a}}]'), 'rules[0].allow: needs a method'],
    [
      'a glob over methods',
      mcp('rules: [{allow: {method: "res*"}}]'),
      'rules[0].allow.method: may be a glob below tools/ only',
    ],
    [
      'a path of MCP',
      mcp('rules: [{allow: {method: ping, path: /a}}]'),
      'rules[0].allow: must use method and tool',
    ],
    [
      'an argument of a tool',
      mcp('rules: [{allow: {method: tools/call, params: {name: a, x: b}}}]'),
      'rules[0].allow.params.x: cannot be matched',
    ],
    [
      'a matcher of nothing',
      mcp('rules: [{allow: {method: tools/call, tool: {any: []}}}]'),
      'rules[0].allow.tool: has neither glob nor any',
    ],
    [
      'a loose glob',
      mcp('mcp: {strict_tool_names: false}, rules: [{allow: {method: tools/call, tool: "a*"}}]'),
      'rules[0].allow.tool: may be a glob only while',
    ],
    [
      'a rule that undoes others',
      mcp('rules: [{allow: {method: tools/call, tool: a}}, {allow: {method: "tools/*"}}]'),
      'rules[1].allow: allows every tool',
    ],
    [
      'discovery of nobody',
      `${GOOD}discovery: {credentials: [nobody]}\n`,
      'error: OpenShell: 7:27: discovery.credentials[0]: names no credential of this profile',
    ],
    [
      'discovery twice',
      `${GOOD}discovery: {credentials: [token, token]}\n`,
      'discovery.credentials[1]: is listed twice',
    ],
    [
      'a binary without a path',
      `${GOOD}binaries: [""]\n`,
      'error: OpenShell: 7:12: binaries[0]: has no path',
    ],
    [
      'a misspelt field',
      `${GOOD}credentals: []\n`,
      'warning: secret-resolver: 7:1: credentals: is not a field of a profile',
    ],
    [
      'a misspelt field of a credential',
      credential('env_var: [X]'),
      'warning: secret-resolver: 4:38: credentials[0].env_var: is not a field of a profile',
    ],
    [
      'a misspelt field of an endpoint',
      rest('access: full, enforce: true'),
      'endpoints[0].enforce: is not a field of a profile',
    ],
    [
      'a null, which OpenShell reads as text',
      credential('auth_style: null'),
      'error: OpenShell: 4:38: credentials[0].auth_style: is not a way to present a credential',
    ],
    ['a null category', `${GOOD}category: ~\n`, 'error: OpenShell: 7:1: category: is not a category'],
    ['a null list', `${GOOD}binaries: null\n`, 'error: OpenShell: 7:1: binaries: has the wrong type'],
    ['a null binary', `${GOOD}binaries: [null]\n`, 'error: OpenShell: 7:12: binaries[0]: has none'],
    ['a null denial', rest('access: full, deny_rules: [null]'), 'deny_rules[0]: has the wrong type'],
    [
      'a number with a point where a text or a map may be',
      rest('rules: [{allow: {method: GET, query: {version: 1.5}}}]'),
      'error: OpenShell: 6:90: endpoints[0].rules[0].allow.query.version: has none of the accepted forms',
    ],
    [
      'a port with a zero before it',
      endpoint('host: example.com, port: 0443, protocol: rest, access: full'),
      'error: OpenShell: 6:25: endpoints[0].port: has the wrong type, expected a number',
    ],
    [
      'a port with a point',
      endpoint('host: example.com, port: 443.0, protocol: rest, access: full'),
      'error: OpenShell: 6:25: endpoints[0].port: has the wrong type, expected a number',
    ],
    [
      'a byte order mark',
      `\uFEFF${GOOD}`,
      'error: OpenShell: 1:2: begins with a byte order mark (save the file as UTF-8 without one)',
    ],
    [
      'a list of profiles',
      `- ${GOOD.replaceAll('\n', '\n  ').trimEnd()}\n`,
      'warning: OpenShell: 1:3: [0]: is in a list',
    ],
    ['several documents', `${GOOD}---\n${GOOD}`, 'warning: OpenShell: 1:1: is in a list or among several'],
    ['a field twice', `${GOOD}id: other\n`, 'duplicate field'],
  ])('finds %s', (_, text, expected) => {
    let found: string[];
    try {
      found = lint(text);
    } catch (error) {
      found = [String(error)];
    }
    expect(found.join('\n')).toContain(expected);
    expect(found).toHaveLength(1);
  });
});

it.each([
  ['a path template without the credential', '/bot{token}'],
  ['a path template with the credential twice', '/{credential}/{credential}'],
])('finds %s, beside the warning of any path', (_, template) => {
  const found = lint(credential(`auth_style: path, path_template: "${template}"`)).map(String);
  expect(found).toHaveLength(2);
  expect(found.join('\n')).toContain(
    '4:56: credentials[0].path_template: must have {credential} exactly once',
  );
});

it('reports mistakes in a list where they are', () => {
  expect(lint('profiles:\n- id: a\n  display_name: A\n- id: B\n  display_name: B\n')).toEqual([
    expect.stringContaining('warning: OpenShell: 2:3: profiles[0]: is in a list'),
    expect.stringContaining('error: both: 4:3: profiles[1].id: must be lowercase'),
  ]);
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
    writeFileSync(
      join(folder, 'good.yaml'),
      `${GOOD}---\nid: warned\ndisplay_name: W\ncredentials:\n${CREDENTIAL}`,
    );
    const { exitCode, stdout, stderr } = await run('good.yaml');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toBe(
      'good.yaml:1:1: warning: is in a list or among several documents; OpenShell imports one profile per file [OpenShell]\n    fix: write each profile to a file of its own before you import it\ngood.yaml:8:1: warning: endpoints: declares no endpoint, so its credentials are withheld [secret-resolver]\n    fix: name the hosts that may receive them, here or in the provider file\n2 profiles, 0 errors, 2 warnings',
    );
  });

  it('exits with 2 and reports every mistake of every file', async () => {
    writeFileSync(join(folder, 'a.yaml'), GOOD);
    writeFileSync(join(folder, 'b.yaml'), GOOD);
    writeFileSync(join(folder, 'broken.yaml'), 'id: [');
    const { exitCode, stdout } = await run('a.yaml', 'b.yaml', 'broken.yaml', 'none.yaml');
    expect(exitCode).toBe(2);
    expect(stdout).toContain('b.yaml:1:1: error: id: is the id of a profile in a.yaml too');
    expect(stdout).toMatch(/^broken\.yaml:1:\d+: error: /m);
    expect(stdout).toContain('none.yaml: error: cannot be read: ENOENT');
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
