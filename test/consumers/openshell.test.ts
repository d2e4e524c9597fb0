/** The RPC that OpenShell's supervisor calls, over the socket, judged as the supervisor would judge it. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Metadata, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { SecretValue } from '../../src/domain/secret-value.ts';
import {
  GetSandboxProviderEnvironmentRequestSchema,
  type GetSandboxProviderEnvironmentResponse,
  GetSandboxProviderEnvironmentResponseSchema,
} from '../../src/gen/openshell/v1/openshell_pb.ts';
import type { ServedCredential } from '../../src/snapshot/resolve.ts';
import { compilesHost } from '../support/host-pattern.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { RawClient } from '../support/raw-calls.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { ENDPOINTS, NAMESPACE, SANDBOX, Workspace, type WorkspaceConfig } from '../support/workspace.ts';

const METHOD = '/openshell.v1.OpenShell/GetSandboxProviderEnvironment';
const NATIVE = 'GetProviderEnvironment';

const ask = (change: { sandboxId?: string; supportsStaticCredentialBindings?: boolean } = {}) =>
  toBinary(
    GetSandboxProviderEnvironmentRequestSchema,
    create(GetSandboxProviderEnvironmentRequestSchema, {
      sandboxId: SANDBOX.id,
      supportsStaticCredentialBindings: true,
      ...change,
    }),
  );

const opened: (Disposable | AsyncDisposable)[] = [];
afterEach(async () => {
  for (const item of opened.splice(0).reverse()) {
    if (Symbol.asyncDispose in item) await item[Symbol.asyncDispose]();
    else item[Symbol.dispose]();
  }
});

interface Opened {
  readonly server: TestServer;
  readonly client: RawClient;
  readonly log: MemoryLog;
}

async function open(prepare: (workspace: Workspace) => void): Promise<Opened> {
  const workspace = new Workspace();
  prepare(workspace);
  const log = new MemoryLog();
  const server = await TestServer.open(workspace, {}, log.log);
  const client = new RawClient(server.socket);
  opened.push(server, client);
  return { server, client, log };
}

/** One provider with these credentials, each the key of the same name in the Secret `it`. */
function provider(
  name: string,
  credentials: Readonly<Record<string, object>>,
  change: WorkspaceConfig = {},
): (workspace: Workspace) => void {
  return (workspace) =>
    workspace.writeProvider(`${name}.yaml`, {
      name,
      type: 'custom',
      endpoints: ENDPOINTS,
      credentials: Object.fromEntries(
        Object.entries(credentials).map(([key, options]) => [
          key,
          { source: { type: 'kubernetesSecret', namespace: NAMESPACE, name: 'it', key }, ...options },
        ]),
      ),
      ...change,
    });
}

async function environment(client: RawClient): Promise<GetSandboxProviderEnvironmentResponse> {
  const { response, code, details } = await client.call(METHOD, ask());
  expect({ code, details }).toEqual({ code: status.OK, details: '' });
  return fromBinary(GetSandboxProviderEnvironmentResponseSchema, response ?? Buffer.alloc(0));
}

/** The supervisor's own checks, written anew from its contract: one complaint, and it drops every credential. */
function complaints(response: GetSandboxProviderEnvironmentResponse, now = Date.now()): string[] {
  const { environment, staticCredentialBindings: bindings, nonSecretEnvironmentKeys: plain } = response;
  const found: string[] = [];
  const check = (holds: boolean, complaint: string) => {
    if (!holds) found.push(complaint);
  };
  check(response.providerEnvRevision !== 0n, 'revision 0');
  check(new Set(plain).size === plain.length, 'a plain name twice');
  const identities = new Set<string>();
  for (const [key, value] of Object.entries(environment)) {
    check(Object.hasOwn(bindings, key) !== plain.includes(key), `${key}: in none or both of the lists`);
    check(/^[A-Za-z_][A-Za-z0-9_]*$/.test(key) && key.length <= 256, `${key}: name`);
    check(!/^(v\d+_|s[0-9a-f]{64}_)/.test(key), `${key}: reserved`);
    check(value !== '' && !/[\0\r\n]/.test(value), `${key}: value`);
  }
  for (const [key, binding] of Object.entries(bindings)) {
    check(Object.hasOwn(environment, key), `${key}: bound and not there`);
    check(binding.credentialIdentity !== '', `${key}: identity`);
    check(!identities.has(binding.credentialIdentity), `${key}: identity twice`);
    identities.add(binding.credentialIdentity);
    check(/^([0-9a-f]{64})?$/.test(binding.workloadCredentialHandle), `${key}: handle`);
    check(binding.endpoints.length > 0, `${key}: endpoints`);
    for (const { host, port, path } of binding.endpoints) {
      check(port >= 1 && port <= 65535, `${key}: port`);
      check(compilesHost(host), `${key}: host`);
      check(path === '' || path.startsWith('/'), `${key}: path`);
    }
  }
  for (const [key, at] of Object.entries(response.credentialExpiresAtMs)) {
    check(at === 0n || at > BigInt(now), `${key}: expired`);
  }
  return found;
}

describe('the response', () => {
  it('decodes with a message that has only the fields of OpenShell, and says all that it has to', async () => {
    const { server, client } = await open((workspace) => {
      provider('gitlab', { GITLAB_TOKEN: {}, GITLAB_USER: { expiresAt: '2999-01-01T00:00:00Z' } })(workspace);
      provider(
        'npm',
        { NPM_TOKEN: {} },
        { endpoints: [{ host: '*.npmjs.org', port: 8443, path: '/api/**' }, ...ENDPOINTS] },
      )(workspace);
    });
    const [token, user, npm] = [newSecret(), newSecret(), newSecret()];
    server.publish({ it: { GITLAB_TOKEN: token, GITLAB_USER: user, NPM_TOKEN: npm } });
    const response = await environment(client);
    expect(response.environment).toEqual({ GITLAB_TOKEN: token, GITLAB_USER: user, NPM_TOKEN: npm });
    expect(response.credentialExpiresAtMs).toEqual({
      GITLAB_USER: BigInt(Date.parse('2999-01-01T00:00:00Z')),
    });
    expect(response.nonSecretEnvironmentKeys).toEqual([]);
    expect(response.staticCredentialBindings.NPM_TOKEN).toMatchObject({
      credentialIdentity: 'npm:NPM_TOKEN',
      workloadCredentialHandle: expect.stringMatching(/^[0-9a-f]{64}$/),
      endpoints: [
        { host: '*.npmjs.org', port: 8443, path: '/api/**' },
        { host: 'gitlab.example.com', port: 443, path: '' },
      ],
    });
    expect(complaints(response)).toEqual([]);
    // 0.1.x reads the expiry from another field.
    expect(response.credentialExpirationTimes).toMatchObject({
      GITLAB_USER: { seconds: BigInt(Date.parse('2999-01-01T00:00:00Z') / 1000) },
    });
    // Our own fields are far away from any that OpenShell may add; its field 4 (token grants) is never sent.
    const strangers = (response.$unknown ?? []).map(({ no }) => no);
    expect(strangers.length).toBeGreaterThan(0);
    expect(strangers.filter((no) => no < 1000)).toEqual([]);
  });

  it('is the very buffer of our own call where nothing is withheld, encoded once', async () => {
    const { server, client } = await open(provider('gitlab', { GITLAB_TOKEN: {} }));
    server.publish({ it: { GITLAB_TOKEN: newSecret() } });
    const own = (await client.call(NATIVE)).response;
    for (let call = 0; call < 3; call++) {
      expect((await client.call(METHOD, ask())).response?.equals(own ?? Buffer.alloc(0))).toBe(true);
    }
  });

  it('keeps handle and identity over a rotation, and has another revision', async () => {
    const { server, client } = await open(provider('gitlab', { GITLAB_TOKEN: {} }));
    server.publish({ it: { GITLAB_TOKEN: newSecret() } });
    const before = await environment(client);
    const rotated = newSecret();
    server.publish({ it: { GITLAB_TOKEN: rotated } });
    const after = await environment(client);
    expect(after.environment.GITLAB_TOKEN).toBe(rotated);
    expect(after.staticCredentialBindings).toEqual(before.staticCredentialBindings);
    expect(after.providerEnvRevision).not.toBe(before.providerEnvRevision);
    expect([before.providerEnvRevision, after.providerEnvRevision]).not.toContain(0n);
  });

  it("repeats nowhere the sandbox's token, which the supervisor's client sends along", async () => {
    const { server, client, log } = await open(provider('gitlab', { GITLAB_TOKEN: {} }));
    server.publish({ it: { GITLAB_TOKEN: newSecret() } });
    const token = newSecret();
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    expect((await client.call(METHOD, ask(), metadata)).code).toBe(status.OK);
    expect((await client.call(METHOD, ask({ sandboxId: 'another' }), metadata)).code).toBe(
      status.PERMISSION_DENIED,
    );
    expect(server.records.length).toBeGreaterThan(1);
    expect(JSON.stringify([server.records, log.lines])).not.toContain(token);
  });

  it('is empty, and no error, for a caller that knows no bindings', async () => {
    const { server, client } = await open(provider('gitlab', { GITLAB_TOKEN: {} }));
    const secret = newSecret();
    server.publish({ it: { GITLAB_TOKEN: secret } });
    const { response, code } = await client.call(METHOD, ask({ supportsStaticCredentialBindings: false }));
    expect(code).toBe(status.OK);
    expect(response?.includes(secret)).toBe(false);
    const decoded = fromBinary(GetSandboxProviderEnvironmentResponseSchema, response ?? Buffer.alloc(0));
    expect(decoded.environment).toEqual({});
    expect(decoded.staticCredentialBindings).toEqual({});
    expect(decoded.providerEnvRevision).not.toBe(0n);
    expect(server.audited('served').map(({ unmapped }) => unmapped.credentials)).toEqual([[]]);
  });

  it.each([['another'], [''], [`${SANDBOX.id} `]])('is refused for the sandbox %j', async (sandboxId) => {
    const { server, client } = await open(provider('gitlab', { GITLAB_TOKEN: {} }));
    server.publish({ it: { GITLAB_TOKEN: newSecret() } });
    expect(await client.call(METHOD, ask({ sandboxId }))).toEqual({
      code: status.PERMISSION_DENIED,
      details: 'no such sandbox for this caller',
    });
    expect(server.audited('denied').map(({ unmapped }) => unmapped.reason)).toEqual(['sandbox-not-ours']);
  });

  it('answers under the package that the configuration names, and under no other', async () => {
    const { server, client } = await open((workspace) => {
      provider('gitlab', { GITLAB_TOKEN: {} })(workspace);
      workspace.writeConfig({ openshell: { package: 'navigator.v2' } });
    });
    server.publish({ it: { GITLAB_TOKEN: newSecret() } });
    const moved = '/navigator.v2.OpenShell/GetSandboxProviderEnvironment';
    expect((await client.call(moved, ask())).code).toBe(status.OK);
    expect((await client.call(METHOD, ask())).code).toBe(status.UNIMPLEMENTED);
  });
});

describe('a value with line breaks', () => {
  const pem = () =>
    registerSecret(
      `-----BEGIN OPENSSH PRIVATE KEY-----\n${Buffer.from(newSecret()).toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    );
  const json = () => registerSecret(JSON.stringify({ client: 'x', private_key: newSecret() }, null, 2));
  const formats = { KEY: { format: 'pem' }, ACCOUNT: { format: 'json' }, TOKEN: {} };

  it('is served by our own call and withheld from OpenShell, alone', async () => {
    const { server, client, log } = await open(provider('cloud', formats));
    const values = { KEY: pem(), ACCOUNT: json(), TOKEN: newSecret() };
    server.publish({ it: values });
    const own = (await client.call(NATIVE)).response;
    for (const value of Object.values(values)) expect(own?.includes(value.trim())).toBe(true);

    const response = await environment(client);
    expect(Object.keys(response.environment)).toEqual(['TOKEN']);
    expect(Object.keys(response.staticCredentialBindings)).toEqual(['TOKEN']);
    expect(complaints(response)).toEqual([]);

    for (let call = 0; call < 3; call++) await environment(client);
    // Once for the snapshot, however often it is asked for.
    expect(server.audited('withheld').map(({ unmapped }) => unmapped)).toEqual(
      ['ACCOUNT', 'KEY'].map((key) => ({
        outcome: 'withheld',
        provider: 'cloud',
        key,
        reference: `${NAMESPACE}/it/${key}`,
        required: false,
        reasons: ['value-forbidden-byte'],
        revision: String(response.providerEnvRevision),
        sandbox: SANDBOX,
      })),
    );
    expect(log.with('credential withheld from OpenShell; our own calls serve it')).toMatchObject([
      { provider: 'cloud', key: 'ACCOUNT', why: ['the value holds CR, LF or NUL'] },
      { provider: 'cloud', key: 'KEY' },
    ]);
    const served = server.audited('served').at(-1)?.unmapped.credentials;
    expect(served).toEqual([
      { provider: 'cloud', key: 'TOKEN', reference: `${NAMESPACE}/it/TOKEN`, required: false },
    ]);
  });

  it('that rotates changes the revision of our own call and not that of OpenShell', async () => {
    const { server, client } = await open(provider('cloud', formats));
    const rest = { ACCOUNT: json(), TOKEN: newSecret() };
    server.publish({ it: { KEY: pem(), ...rest } });
    const [own, theirs] = [(await client.call(NATIVE)).response, await environment(client)];
    server.publish({ it: { KEY: pem(), ...rest } });
    const again = await environment(client);
    expect(again.providerEnvRevision).toBe(theirs.providerEnvRevision);
    expect((await client.call(NATIVE)).response?.equals(own ?? Buffer.alloc(0))).toBe(false);
    // Another snapshot, so it is written down again.
    expect(server.audited('withheld')).toHaveLength(4);
  });

  it('and that is required refuses the call, as any required credential that is not served does', async () => {
    const { server, client } = await open(
      provider('cloud', { KEY: { format: 'pem', required: true }, TOKEN: {} }),
    );
    server.publish({ it: { KEY: pem(), TOKEN: newSecret() } });
    expect(await client.call(METHOD, ask())).toEqual({
      code: status.FAILED_PRECONDITION,
      details: 'the required credential KEY of provider cloud is refused',
    });
    expect(server.audited('denied').map(({ unmapped }) => unmapped.reason)).toEqual(['value-forbidden-byte']);
    expect((await client.call(NATIVE)).code).toBe(status.OK);
  });
});

describe('each rule', () => {
  const whole = (key = 'WHOLE'): ServedCredential => ({
    provider: 'gitlab',
    key,
    value: SecretValue.from(Buffer.from(newSecret())),
    reference: { namespace: NAMESPACE, name: 'it', key },
    required: false,
    endpoints: [{ host: 'gitlab.example.com', port: 443, path: '' }],
    identity: `gitlab:${key}`,
    handle: Buffer.from(key.padEnd(32, '.')).toString('hex').slice(0, 64),
    expiresAtMs: undefined,
  });
  const endpoint = (change: object) => ({
    endpoints: [{ host: 'gitlab.example.com', port: 443, path: '', ...change }],
  });
  const value = (text: string) => ({ value: SecretValue.from(Buffer.from(text)) });

  it.each<[string, Partial<ServedCredential>, string]>([
    ['a name that is none', { key: 'A-B', identity: 'gitlab:A-B' }, 'key-not-a-name'],
    ['a name that reads as a revision', { key: 'v7_A', identity: 'gitlab:v7_A' }, 'key-reserved'],
    ['a name of 257 bytes', { key: 'K'.repeat(257), identity: `gitlab:${'K'.repeat(257)}` }, 'key-too-long'],
    ['an identity that is not its own', { identity: 'github:BROKEN' }, 'identity-not-provider-and-key'],
    ['a handle in capitals', { handle: 'AB'.repeat(32) }, 'handle-not-64-hex'],
    ['the handle of another', { handle: whole().handle }, 'handle-claimed-twice'],
    ['no endpoint', { endpoints: [] }, 'no-endpoint'],
    ['braces in a host', endpoint({ host: '{a,b}.example.com' }), 'endpoint-host'],
    ['port 0', endpoint({ port: 0 }), 'endpoint-port'],
    ['port 65536', endpoint({ port: 65536 }), 'endpoint-port'],
    ['a path without a slash', endpoint({ path: 'api' }), 'endpoint-path'],
    ['an expiry that is not positive', { expiresAtMs: -1 }, 'expiry-not-positive'],
    ['an empty value', value(''), 'value-empty'],
    ['a CR in the value', value('a\rb'), 'value-forbidden-byte'],
    ['a NUL in the value', value('a\0b'), 'value-forbidden-byte'],
  ])('withholds what breaks it, alone: %s', async (_, change, rule) => {
    const { server, client } = await open(provider('gitlab', { WHOLE: {} }));
    const broken = { ...whole('BROKEN'), ...change };
    const shares = change.handle === whole().handle;
    const third = whole('THIRD');
    server.store.publish({
      credentials: [broken, whole(), third],
      refusals: [],
      oversize: [],
      nextExpiryMs: undefined,
      mountedAt: performance.now(),
    });
    const response = await environment(client);
    // Of two that share a handle none is right.
    expect(Object.keys(response.environment).sort()).toEqual(shares ? ['THIRD'] : ['THIRD', 'WHOLE']);
    expect(complaints(response)).toEqual([]);
    expect(server.audited('withheld').map(({ unmapped }) => unmapped.reasons)).toEqual(
      shares ? [[rule], [rule]] : [[rule]],
    );
  });
});

describe("the limits of OpenShell's gateway", () => {
  const many = (workspace: Workspace) => {
    const numbers = Array.from({ length: 33 }, (_, index) => String(index).padStart(2, '0'));
    for (const n of numbers) provider(`p${n}`, { [`ONE_${n}`]: {} })(workspace);
    provider('big', Object.fromEntries(numbers.map((n) => [`K_${n}`, {}])))(workspace);
    provider('big2', { LONG: {} })(workspace);
    return numbers;
  };
  const secrets = (numbers: readonly string[]) => ({
    it: {
      ...Object.fromEntries(numbers.flatMap((n) => [`ONE_${n}`, `K_${n}`].map((key) => [key, newSecret()]))),
      LONG: registerSecret(newSecret().repeat(250)),
    },
  });

  it('are warned of once, and everything is served, unless the operator says otherwise', async () => {
    let numbers: string[] = [];
    const { server, client, log } = await open((workspace) => {
      numbers = many(workspace);
    });
    server.publish(secrets(numbers));
    for (let call = 0; call < 2; call++) {
      const response = await environment(client);
      expect(Object.keys(response.environment)).toHaveLength(67);
      expect(complaints(response)).toEqual([]);
    }
    const warnings = log.with("beyond a limit of OpenShell's gateway");
    // 33rd credential of one provider; the 33rd to 35th provider.
    expect(warnings.map(({ key }) => key)).toEqual(['K_32', 'ONE_30', 'ONE_31', 'ONE_32']);
    expect(server.audited('withheld')).toEqual([]);
  });

  it('are enforced where the operator says so', async () => {
    let numbers: string[] = [];
    const { server, client } = await open((workspace) => {
      numbers = many(workspace);
      workspace.writeConfig({ openshell: { overLimit: 'refuse' } });
    });
    server.publish(secrets(numbers));
    const response = await environment(client);
    expect(complaints(response)).toEqual([]);
    const reasons = server.audited('withheld').map(({ unmapped }) => [unmapped.key, unmapped.reasons]);
    expect(Object.fromEntries(reasons)).toEqual({
      K_32: ['too-many-credentials'],
      LONG: ['value-too-long'],
      ONE_31: ['too-many-providers'],
      ONE_32: ['too-many-providers'],
    });
    expect(Object.keys(response.environment)).toHaveLength(63);
  });

  it('of one message hold whatever is mounted: below 4 MiB, and what does not fit is refused alone', async () => {
    const numbers = Array.from({ length: 80 }, (_, index) => `K_${index}`);
    const { server, client } = await open(
      provider('big', Object.fromEntries(numbers.map((key) => [key, {}]))),
    );
    server.publish({
      it: Object.fromEntries(numbers.map((key) => [key, registerSecret(newSecret().repeat(1_700))])),
    });
    const { response } = await client.call(METHOD, ask());
    expect(response?.byteLength).toBeLessThan(4 * 1024 * 1024);
    const decoded = fromBinary(GetSandboxProviderEnvironmentResponseSchema, response ?? Buffer.alloc(0));
    expect(complaints(decoded)).toEqual([]);
    const served = Object.keys(decoded.environment).length;
    expect(served).toBeGreaterThan(50);
    expect(served).toBeLessThan(80);
  });
});
