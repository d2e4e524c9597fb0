/** `openshell doctor` by its command line, beside a real driver. Each case breaks one thing. */
import { linkSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { Audit } from '../../src/observe/audit/audit.ts';
import { createLog } from '../../src/observe/log.ts';
import { cli } from '../support/cli.ts';
import { Gateway } from '../support/gateway.ts';
import { runInProcess } from '../support/in-process.ts';
import { newSecret } from '../support/secrets.ts';
import { NAMESPACE, SANDBOX, Workspace } from '../support/workspace.ts';

const PROFILE = { id: 'gitlab', display_name: 'GitLab', endpoints: [{ host: 'gitlab.com', port: 443 }] };
const CREDENTIAL = 'GITLAB_TOKEN=secret-resolver://gitlab';
const MAP = { gitlab: { name: 'team-a-gitlab', key: 'token' } };

let workspace: Workspace;
let socket: string;
let gateway: Gateway;

beforeAll(async () => {
  workspace = new Workspace();
  socket = join(workspace.root, 'run/driver/driver.sock');
  workspace.writeGatewayConfig(socket, {});
  workspace.secret('team-a-gitlab').write({ token: newSecret(), other: newSecret() });
  const config = parse(readFileSync(workspace.configFile, 'utf8'));
  config.references = { allow: [{ name: 'team-a-gitlab', keys: ['token'] }, { name: 'seal' }] };
  config.gatewayDriver.workspaces = [
    { name: 'team-a', names: MAP, secrets: [{ name: 'team-a-gitlab' }] },
    { name: 'team-z' },
  ];
  writeFileSync(workspace.configFile, stringify(config));
  file('profiles.json', JSON.stringify([PROFILE]));
  file('gateway.toml', toml());
  const sink = { write: () => {}, [Symbol.asyncDispose]: async () => {} };
  gateway = await Gateway.open(workspace.configFile, {
    audit: new Audit(sink, SANDBOX),
    log: createLog({ level: 'fatal' }),
  });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  workspace?.[Symbol.dispose]();
});

function file(name: string, text: string): string {
  writeFileSync(join(workspace.root, name), text);
  return join(workspace.root, name);
}

function toml({ table = 'credential_drivers', topology = 'sidecar' } = {}): string {
  return `[openshell]
version = 1

[openshell.gateway]
credential_drivers = ["secret-resolver"]

[openshell.${table}.secret-resolver]
transport = "uds"
socket_path = "${socket}"

[openshell.drivers.kubernetes]
topology = "${topology}"
`;
}

/** The command line where everything is right but for what `changes` say. */
function line(changes: Readonly<Record<string, string>> = {}): string[] {
  const options = {
    '--config': workspace.configFile,
    '--gateway-config': join(workspace.root, 'gateway.toml'),
    '--profiles': join(workspace.root, 'profiles.json'),
    '--workspace': 'team-a',
    '--type': 'gitlab',
    '--credential': CREDENTIAL,
    ...changes,
  };
  return ['openshell', 'doctor', ...Object.entries(options).flat()];
}

async function run(argv: readonly string[]) {
  const { stdout, ...rest } = await runInProcess(...argv);
  return { ...rest, stdout, lines: stdout.replaceAll(`${workspace.root}/`, '').trimEnd().split('\n') };
}

const doctor = (changes: Readonly<Record<string, string>>) => run(line(changes));

const CREATE = 'openshell --workspace team-a provider create --name gitlab --type gitlab --credential';

test('finds nothing where all is right, and prints the command that makes the provider', async () => {
  const stdout = `0 errors, 0 warnings\nnext: ${CREATE} ${CREDENTIAL}\n`;
  expect(await cli(line())).toMatchObject({ code: 0, stderr: '', stdout });
});

test.each<[string, () => Readonly<Record<string, string>>, string]>([
  [
    'a missing profile',
    () => ({ '--profiles': file('empty.json', '[]') }),
    'empty.json: error: gitlab: is not a profile of workspace team-a: a provider without one makes the supervisor drop every credential of its sandbox [OpenShell]\n    fix: run: openshell --workspace team-a provider profile import -f PROFILES/gitlab.yaml',
  ],
  [
    'the wrong workspace',
    () => ({ '--workspace': 'team-b' }),
    `CONFIG:<workspaces>:3: error: gatewayDriver.workspaces: does not list workspace team-b, so each of its references is refused [secret-resolver]\n    fix: run: ${CREATE} ${CREDENTIAL}`,
  ],
  [
    'the combined topology',
    () => ({ '--gateway-config': file('combined.toml', toml({ topology: 'combined' })) }),
    'combined.toml:12:1: error: openshell.drivers.kubernetes.topology: is combined, also where it is not set: supervisor and agent share a container, so nothing keeps the agent from the values [OpenShell]\n    fix: run: helm upgrade openshell oci://ghcr.io/nvidia/openshell/helm-chart --namespace openshell --version VERSION --reuse-values --set supervisor.topology=sidecar --post-renderer ./post-renderer.sh',
  ],
  [
    'a missing socket',
    () => ({ '--socket': join(workspace.root, 'nowhere.sock') }),
    'nowhere.sock: error: does not exist [secret-resolver]\n    fix: run: secret-resolver serve --config CONFIG --gateway-driver',
  ],
  [
    'a name that is not mapped',
    () => ({ '--credential': 'GITLAB_TOKEN=secret-resolver://npm' }),
    'CONFIG:<names>:7: error: gatewayDriver.workspaces[0].names: does not list npm, which GITLAB_TOKEN refers to [secret-resolver]\n    fix: map npm to {name: SECRET, key: KEY} there, then run: secret-resolver config validate CONFIG',
  ],
  [
    'a name that is nearly one that is mapped',
    () => ({ '--credential': 'GITLAB_TOKEN=secret-resolver://gitlb' }),
    `CONFIG:<names>:7: error: gatewayDriver.workspaces[0].names: does not list gitlb, which GITLAB_TOKEN refers to [secret-resolver]\n    fix: run: ${CREATE} ${CREDENTIAL}`,
  ],
  [
    'a Secret that the workspace does not list',
    () => ({ '--credential': `NPM_TOKEN=k8s-secret://${NAMESPACE}/npm/token` }),
    `CONFIG:<secrets>:7: error: gatewayDriver.workspaces[0].secrets: does not list ${NAMESPACE}/npm/token, which NPM_TOKEN refers to [secret-resolver]\n    fix: list {namespace: ${NAMESPACE}, name: npm, keys: [token]} there, then run: secret-resolver config validate CONFIG`,
  ],
  [
    'a key that references.allow does not list',
    () => ({ '--credential': `GITLAB_TOKEN=k8s-secret://${NAMESPACE}/team-a-gitlab/other` }),
    `CONFIG:<allow>:3: error: references.allow: does not list ${NAMESPACE}/team-a-gitlab/other, which GITLAB_TOKEN refers to [secret-resolver]\n    fix: list {namespace: ${NAMESPACE}, name: team-a-gitlab, keys: [other]} there, then run: secret-resolver config validate CONFIG`,
  ],
  [
    'a driver table that the gateway would not read',
    () => ({ '--gateway-config': file('typo.toml', toml({ table: 'credential_driver' })) }),
    'typo.toml:7:1: error: openshell.credential_driver: is not a table that the gateway knows, so it does not start [OpenShell]\n    fix: write credential_drivers, then run: kubectl -n openshell rollout restart statefulset/openshell',
  ],
  [
    'a driver table among the compute drivers, in the ConfigMap of a chart',
    () => ({
      '--gateway-config': file(
        'rendered.yaml',
        stringify({ kind: 'ConfigMap', data: { 'gateway.toml': toml({ table: 'drivers' }) } }),
      ),
    }),
    'rendered.yaml:10:1: error: openshell.drivers.secret-resolver: is not read: openshell.drivers is for compute drivers [OpenShell]\n    fix: write [openshell.credential_drivers.secret-resolver], then run: kubectl -n openshell rollout restart statefulset/openshell',
  ],
])('finds %s', async (_, changes, expected) => {
  const { code, stderr, lines } = await doctor(changes());
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  const config = readFileSync(workspace.configFile, 'utf8').split('\n');
  const lineOf = (field: string) => config.findIndex((line) => line.trim() === `${field}:`) + 1;
  const places = expected
    .replace(/<(\w+)>/, (_, field: string) => String(lineOf(field)))
    .replaceAll('CONFIG', 'config.yaml')
    .replace('PROFILES', join(import.meta.dirname, '../../deploy/profiles'));
  expect(lines.slice(0, 2).join('\n')).toBe(places);
});

const EXPORT = 'openshell --workspace team-a provider profile export gitlab > PROFILE.yaml, add an endpoint';
const UPDATE = 'openshell --workspace team-a provider profile update gitlab -f PROFILE.yaml';

test.each<[string, object, string]>([
  ['of the workspace', { source: 'user', scope: 'workspace' }, `in it, then run: ${UPDATE}`],
  ['of all workspaces', { source: 'user', scope: 'platform' }, `in it, then run: ${UPDATE} --global`],
  [
    'that is built in, which the gateway never changes',
    { source: 'builtin' },
    'and write another id in it, then run: openshell --workspace team-a provider profile import -f PROFILE.yaml',
  ],
])('warns of a profile without an endpoint %s', async (_, of, hint) => {
  const profiles = file('bare.json', JSON.stringify([{ ...PROFILE, ...of, endpoints: [] }]));
  const { code, lines } = await doctor({ '--profiles': profiles });
  expect({ code, hint: lines[1] }).toEqual({ code: 0, hint: `    fix: run: ${EXPORT} ${hint}` });
  // A policy can still bind its credentials.
  expect(lines[0]).toMatch(/^bare\.json: warning: gitlab: has no endpoint, .*\(credential_binding\)/);
});

test('warns of a credential that the gateway mints, unless a reference takes its place', async () => {
  const refresh = { strategy: 'oauth2_client_credentials' };
  const credentials = [{ name: 'token', env_vars: ['GITLAB_TOKEN'], refresh }];
  const profiles = file('minted.json', JSON.stringify([{ ...PROFILE, credentials }]));
  expect((await doctor({ '--profiles': profiles })).lines[0]).toBe('0 errors, 0 warnings');
  const { code, lines } = await doctor({
    '--profiles': profiles,
    '--credential': CREDENTIAL.replace('GITLAB', 'OTHER'),
  });
  expect({ code, finding: lines.slice(0, 2).join('\n') }).toEqual({
    code: 0,
    finding:
      'minted.json: warning: gitlab.token: has refresh, which the gateway refuses to configure: this driver does not store what it mints [OpenShell]\n    fix: leave it out, or refer to a Secret that holds it: --credential GITLAB_TOKEN=secret-resolver://NAME',
  });
});

test("does not take the driver's own UID, which no caller is, for a fault", async () => {
  using own = new Workspace();
  const path = join(own.root, 'run/driver/driver.sock');
  own.writeGatewayConfig(path, {});
  const config = parse(readFileSync(own.configFile, 'utf8'));
  config.gatewayDriver.callers = [{ name: 'gateway', uid: 61_000 }];
  writeFileSync(own.configFile, stringify(config));
  const sink = { write: () => {}, [Symbol.asyncDispose]: async () => {} };
  await using _ = await Gateway.open(own.configFile, {
    audit: new Audit(sink, SANDBOX),
    log: createLog({ level: 'fatal' }),
  });
  const gatewayConfig = join(workspace.root, 'gateway.toml');
  const options = ['--config', own.configFile, '--gateway-config', gatewayConfig, '--type', 'gitlab'];
  const { stdout } = await run(['openshell', 'doctor', ...options, '--socket', path, '-o', 'json']);
  const found = JSON.parse(stdout).findings.find((finding: Record<string, string>) => finding.file === path);
  expect(found).toMatchObject({
    severity: 'warning',
    message: expect.stringMatching(
      /^a process listens on it, and gatewayDriver\.callers does not list this UID /,
    ),
  });
});

test('finds a socket on which nobody listens, one that is not a socket, and one of another service', async () => {
  const dead = join(workspace.root, 'dead.sock');
  const server = createServer().listen(dead);
  await new Promise((done) => server.once('listening', done));
  // The file stays, as after a crash.
  server.unref();
  const linked = join(dirname(dead), 'kept.sock');
  linkSync(dead, linked);
  await new Promise((done) => server.close(done));
  const first = async (path: string) => (await doctor({ '--socket': path })).lines.slice(0, 2).join('\n');
  expect(await first(linked)).toMatch(
    /kept\.sock: error: exists, and no process listens on it \[.*\]\n {4}fix: run: secret-resolver/,
  );
  expect(await first(join(workspace.root, 'gateway.toml'))).toMatch(
    /: error: exists but is not a socket \[.*\]\n {4}fix: remove it, then run: /,
  );
  expect(await first(workspace.socket)).toContain("is the resolver's own socket and not the driver's");
});

test('says what it did not check, and does not fail for it', async () => {
  const options = ['--config', workspace.configFile, '--no-socket', '-o', 'json'];
  const { code, stdout, stderr } = await run(['openshell', 'doctor', ...options]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { ok, findings } = JSON.parse(stdout);
  expect(ok).toBe(true);
  expect(
    findings.map(({ severity, file, message }: Record<string, string>) => [severity, file, message]),
  ).toEqual([
    [
      'warning',
      '--gateway-config',
      "is not given, so the gateway's driver table and topology are not checked",
    ],
    ['warning', '--type', "is not given, so a provider's workspace and profile are not checked"],
    ['warning', '--no-socket', 'is given, so the socket is not checked'],
  ]);
});

test('repeats no raw value that was given as a reference', async () => {
  const raw = newSecret();
  for (const credential of [`GITLAB_TOKEN=${raw}`, `${raw}=x`]) {
    const { code, lines, stderr } = await doctor({ '--credential': credential });
    expect(code).toBe(credential.startsWith('GITLAB') ? 1 : 2);
    expect(`${lines.join('')}${stderr}`).not.toContain(raw);
  }
  const { lines } = await doctor({ '--gateway-config': file('broken.toml', `[a]\nb = ${raw}\n`) });
  expect(lines.slice(0, 2).join('\n')).toMatch(
    /^broken\.toml:2:1: error: is not valid TOML \[.*\]\n {4}fix: fix the syntax here, then run: /,
  );
});

test('refuses a configuration without a driver, and manifests without a gateway.toml', async () => {
  const plain = join(workspace.root, 'plain.yaml');
  const { gatewayDriver: _, ...rest } = parse(readFileSync(workspace.configFile, 'utf8'));
  writeFileSync(plain, stringify(rest));
  expect(await doctor({ '--config': plain })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('plain.yaml: has no gatewayDriver'),
  });
  const other = file('other.yaml', 'kind: ConfigMap\ndata: {}\n');
  expect(await doctor({ '--gateway-config': other })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('other.yaml: has no ConfigMap with gateway.toml'),
  });
});
