/** The credential driver over its socket, with real volumes: store, resolve, rotate, delete, and every refusal. */
import { randomBytes } from 'node:crypto';
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_BATCH } from '../../src/consumers/gateway-driver/gateway-batch.ts';
import type { Limits } from '../../src/domain/limits.ts';
import {
  DeleteCredentialRequestSchema,
  GetCapabilitiesRequestSchema,
  GetCapabilitiesResponseSchema,
  ResolveCredentialsRequestSchema,
  ResolveCredentialsResponseSchema,
  StoreCredentialRequestSchema,
  StoreCredentialResponseSchema,
} from '../../src/gen/openshell/credentials/v1/credential_driver_pb.ts';
import { Audit } from '../../src/observe/audit/audit.ts';
import { until } from '../support/cli.ts';
import { Gateway } from '../support/gateway.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { RawClient } from '../support/raw-calls.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import type { AuditRecord } from '../support/test-server.ts';
import { NAMESPACE, SANDBOX, Workspace } from '../support/workspace.ts';

const uid = process.getuid?.() ?? 0;
const PROVIDER_ID = '0b9e2f6e-3f4e-4a7e-9d6a-3a9c1f1e2d3c';
const PROVIDER = { workspace: 'team-a', providerName: 'gitlab', providerId: PROVIDER_ID };

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const item of opened.splice(0).reverse()) await item[Symbol.asyncDispose]();
});

const DRIVER = {
  callers: [{ name: 'gateway', uid }],
  handleKey: { name: 'seal', key: 'key', previousKey: 'previous' },
  workspaces: [
    {
      name: 'team-a',
      secrets: [{ name: 'gitlab' }, { name: 'narrow', keys: ['public-*'] }, { name: 'absent' }],
    },
    { name: 'team-b', secrets: [{ name: 'npm' }] },
  ],
};

/** A driver, its gateway, and the Secrets that it mounts. */
class Scene implements AsyncDisposable {
  readonly workspace = new Workspace();
  readonly socket = `${this.workspace.root}/run/driver/driver.sock`;
  readonly records: AuditRecord[] = [];
  readonly log = new MemoryLog();
  readonly client = new RawClient(this.socket);
  readonly gitlab = this.workspace.secret('gitlab');
  readonly seal = this.workspace.secret('seal');
  gateway!: Gateway;

  /** Key of the Secret and the seal; a test may write others. */
  constructor() {
    this.seal.write({ key: registerSecret(randomBytes(32)) });
    this.gitlab.write({ token: newSecret() });
  }

  writeConfig(driver: object = {}, config: object = {}): void {
    this.workspace.writeConfig({
      gatewayDriver: { ...DRIVER, socket: { path: this.socket, mode: '0666' }, ...driver },
      ...config,
    });
  }

  async start(limits: Partial<Limits> = {}): Promise<this> {
    this.gateway = await Gateway.open(this.workspace.configFile, {
      audit: new Audit(
        {
          write: (record) => {
            this.records.push(JSON.parse(record) as AuditRecord);
            this.log.log.info({ audit: record }, 'audit'); // Searched for leaks with the rest.
          },
          [Symbol.asyncDispose]: async () => {},
        },
        SANDBOX,
      ),
      log: this.log.log,
      limits,
    });
    return this;
  }

  async restart(limits: Partial<Limits> = {}): Promise<void> {
    await this.gateway[Symbol.asyncDispose]();
    await this.start(limits);
  }

  reload(): void {
    this.gateway.reload();
  }

  call<D extends DescMessage>(operation: string, schema: D, init: MessageInitShape<D>) {
    const method = `/openshell.credentials.v1.CredentialDriver/${operation}`;
    return this.client.call(method, toBinary(schema, create(schema, init)));
  }

  /** The handle for a reference, or the refusal. */
  async refer(reference: string, change: MessageInitShape<typeof StoreCredentialRequestSchema> = {}) {
    const { response, code, details } = await this.call('StoreCredential', StoreCredentialRequestSchema, {
      ...PROVIDER,
      credentialKey: 'GITLAB_TOKEN',
      value: Buffer.from(reference),
      ...change,
    });
    const handle =
      response === undefined ? undefined : fromBinary(StoreCredentialResponseSchema, response).handle?.handle;
    return { handle: handle ?? '', code, details };
  }

  async resolveAll(
    credentials: MessageInitShape<typeof ResolveCredentialsRequestSchema>['credentials'] = [],
  ) {
    const { response, code, details } = await this.call(
      'ResolveCredentials',
      ResolveCredentialsRequestSchema,
      { credentials },
    );
    const answers =
      response === undefined ? [] : fromBinary(ResolveCredentialsResponseSchema, response).credentials;
    return { answers, code, details };
  }

  async resolve(handle: string, change: object = {}) {
    const { answers, code, details } = await this.resolveAll([
      {
        ...PROVIDER,
        requestId: 'one',
        credentialKey: 'GITLAB_TOKEN',
        handle: { driver: 'secret-resolver', handle },
        ...change,
      },
    ]);
    // As a gateway reads it: it leaves out a credential that has ended.
    const value =
      answers[0] === undefined || answers[0].expiresAtMs === 1n
        ? undefined
        : Buffer.from(answers[0].value).toString();
    return { value, code, details };
  }

  audited(outcome: string): AuditRecord['unmapped'][] {
    return this.records.map(({ unmapped }) => unmapped).filter((record) => record.outcome === outcome);
  }

  /** The one record of a refusal. */
  denied(): AuditRecord['unmapped'] | undefined {
    expect(this.audited('denied')).toHaveLength(1);
    return this.audited('denied')[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.gateway[Symbol.asyncDispose]();
    this.workspace[Symbol.dispose]();
  }
}

async function open(driver: object = {}, config: object = {}): Promise<Scene> {
  const scene = new Scene();
  opened.push(scene);
  scene.writeConfig(driver, config);
  return scene.start();
}

const reference = (secret: string, key: string, namespace = NAMESPACE) =>
  `k8s-secret://${namespace}/${secret}/${key}`;
const TOKEN = reference('gitlab', 'token');

describe('the whole way', () => {
  it('store, resolve a batch of 32, rotate, resolve, delete', async () => {
    const scene = await open();
    const keys = Array.from({ length: 32 }, (_, index) => `TOKEN_${String.fromCharCode(65 + index)}`).map(
      (key, index) => (index < 26 ? key : `TOKEN_Z${String.fromCharCode(65 + index - 26)}`),
    );
    const fresh = () => Object.fromEntries(keys.map((key) => [key, newSecret()]));
    let data = fresh();
    scene.gitlab.write(data);
    const handles = await Promise.all(
      keys.map(async (credentialKey) => {
        const { handle, code } = await scene.refer(reference('gitlab', credentialKey), { credentialKey });
        expect(code).toBe(status.OK);
        return handle;
      }),
    );
    expect(new Set(handles).size).toBe(32);
    const batch = keys.map((credentialKey, index) => ({
      ...PROVIDER,
      credentialKey,
      requestId: `request ${index}`,
      handle: { driver: 'named-by-the-gateway', handle: handles[index] ?? '', metadata: { a: 'b' } },
    }));
    const resolved = async () => {
      const { answers, code } = await scene.resolveAll(batch);
      expect(code).toBe(status.OK);
      // Each request_id exactly once, in the order asked.
      expect(answers.map(({ requestId }) => requestId)).toEqual(batch.map(({ requestId }) => requestId));
      return Object.fromEntries(
        answers.map(({ value }, index) => [keys[index], Buffer.from(value).toString()]),
      );
    };
    await until(async () => (await scene.resolve(handles[0] ?? '', batch[0])).value === data[keys[0] ?? '']);
    expect(await resolved()).toEqual(data);

    data = fresh();
    scene.gitlab.write(data);
    await until(async () => (await scene.resolve(handles[0] ?? '', batch[0])).value === data[keys[0] ?? '']);
    expect(await resolved()).toEqual(data);

    const gone = { ...PROVIDER, credentialKey: 'TOKEN_A', handle: { handle: handles[0] ?? '' } };
    expect(await scene.call('DeleteCredential', DeleteCredentialRequestSchema, gone)).toMatchObject({
      code: status.OK,
    });

    expect(scene.audited('referred')).toHaveLength(32);
    const caller = { name: 'gateway', uid, pid: process.pid };
    expect(
      scene
        .audited('referred')
        .find(({ credentials }) => String(JSON.stringify(credentials)).includes('TOKEN_B"')),
    ).toMatchObject({
      caller,
      sandbox: SANDBOX,
      requester: 'unknown: a gateway names workspace and provider, and no sandbox or user',
      credentials: [
        {
          workspace: 'team-a',
          provider: 'gitlab',
          provider_id: PROVIDER_ID,
          key: 'TOKEN_B',
          reference: `${NAMESPACE}/gitlab/TOKEN_B`,
        },
      ],
    });
    expect(scene.audited('served').at(-1)?.credentials).toHaveLength(32);
    expect(scene.audited('released')).toMatchObject([
      { caller, credentials: [{ workspace: 'team-a', provider: 'gitlab', key: 'TOKEN_A' }] },
    ]);
    const record = scene.records.find(({ unmapped }) => unmapped.outcome === 'released');
    expect(record).toMatchObject({
      class_uid: 6003,
      api: {
        operation: 'CredentialDriver/DeleteCredential',
        service: { name: 'openshell.credentials.v1.CredentialDriver' },
      },
    });
  });

  it('a handle outlives the driver', async () => {
    const scene = await open();
    const token = newSecret();
    scene.gitlab.write({ token });
    const { handle } = await scene.refer(TOKEN);
    await scene.restart();
    expect(await scene.resolve(handle)).toMatchObject({ value: token });
  });

  it('a handle outlives a change of the key for as long as the previous one is mounted, too', async () => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    const [before, after] = [registerSecret(randomBytes(32)), registerSecret(randomBytes(40))];
    scene.seal.write({ key: before });
    await until(async () => (await scene.resolve(handle)).code === status.PERMISSION_DENIED);
    const { handle: second } = await scene.refer(TOKEN);
    scene.seal.write({ key: after, previous: before });
    await until(async () => (await scene.refer(TOKEN)).handle !== second);
    expect((await scene.resolve(second)).code).toBe(status.OK);
    scene.seal.write({ key: after });
    await until(async () => (await scene.resolve(second)).code === status.PERMISSION_DENIED);
  });

  it("tells a JWT's expiry in both ways that gateways read, and resolves none that has ended", async () => {
    const scene = await open();
    const part = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url');
    const jwt = (exp: number) =>
      registerSecret(`${part({ alg: 'none' })}.${part({ exp, jti: newSecret() })}.`);
    const exp = Math.floor(Date.now() / 1000) + 3600;
    scene.gitlab.write({ token: jwt(exp) });
    const { handle } = await scene.refer(TOKEN);
    const ask = () => scene.resolveAll([{ ...PROVIDER, credentialKey: 'GITLAB_TOKEN', handle: { handle } }]);
    await until(async () => (await ask()).answers[0]?.expiresAtMs === BigInt(exp) * 1000n);
    const expirationTime = (await ask()).answers[0]?.expirationTime;
    expect(expirationTime && timestampMs(expirationTime)).toBe(exp * 1000);
    scene.gitlab.write({ token: jwt(1) });
    await until(async () => (await ask()).answers[0]?.expiresAtMs === 1n);
    expect((await ask()).answers[0]).toMatchObject({ value: new Uint8Array() });
    expect(scene.audited('denied').at(-1)).toMatchObject({ reason: 'expired' });
    scene.gitlab.write({ token: newSecret() });
    await until(async () => (await ask()).answers[0]?.expiresAtMs === 0n);
    expect((await ask()).answers[0]?.expirationTime).toBeUndefined();
  });
});

describe('GetCapabilities', () => {
  const ask = (scene: Scene, gateway?: object) =>
    scene.call('GetCapabilities', GetCapabilitiesRequestSchema, gateway === undefined ? {} : { gateway });

  it('answers before anything is mounted: a gateway asks once and never again', async () => {
    const scene = await open();
    scene.gateway.store.drop();
    const { response, code } = await ask(scene);
    expect(code).toBe(status.OK);
    expect(fromBinary(GetCapabilitiesResponseSchema, response ?? Buffer.alloc(0))).toMatchObject({
      driverName: 'secret-resolver',
      supportsList: false,
      supportsExpiresAt: true,
      extension: {
        protocolVersion: { major: 1, minor: 0 },
        supportedCapabilities: ['openshell.credentials.contract'],
      },
    });
  });

  it.each<[string, object, status]>([
    [
      'its contract',
      { protocolVersion: { major: 1, minor: 9 }, requiredCapabilities: ['openshell.credentials.contract'] },
      status.OK,
    ],
  ])('to a gateway that asks for %s', async (_, gateway, expected) => {
    const scene = await open();
    expect((await ask(scene, gateway)).code).toBe(expected);
  });

  it.each<[string, object, string, string]>([
    [
      'another major version',
      { protocolVersion: { major: 2 } },
      'contract-version',
      'this driver speaks version 1 of the contract, and the gateway version 2',
    ],
    [
      'an unknown capability',
      { requiredCapabilities: ['openshell.credentials.contract', 'openshell.credentials.leases'] },
      'unknown-capability',
      'the gateway requires the capability openshell.credentials.leases, which this driver does not have',
    ],
  ])('says which it is where a gateway asks for %s', async (_, gateway, reason, details) => {
    const scene = await open();
    expect(await ask(scene, gateway)).toEqual({ code: status.FAILED_PRECONDITION, details });
    expect(scene.denied()).toMatchObject({ reason });
  });
});

describe('a value that is stored', () => {
  const raw = () => newSecret('glpat');
  it.each<[string, () => string]>([
    ['a raw secret', raw],
    ['nothing', () => ''],
    ['a raw secret behind the scheme', () => `k8s-secret://${raw()}`],
    ['a reference with something behind it', () => `${TOKEN} ${raw()}`],
    ['a reference with a line break', () => `${TOKEN}\n`],
    ['a reference that climbs', () => reference('gitlab', '../seal/key')],
    ['a secret of 60 KiB', () => registerSecret(raw().repeat(1_500))],
  ])('is refused where it is %s, and is repeated nowhere', async (_, make) => {
    const scene = await open();
    const value = make();
    expect(await scene.refer(value)).toEqual({
      handle: '',
      code: status.INVALID_ARGUMENT,
      details:
        'credential GITLAB_TOKEN: no values are stored here; write k8s-secret://NAMESPACE/NAME/KEY or secret-resolver://NAME',
    });
    expect(scene.denied()).toMatchObject({
      reason: 'not-a-reference',
      request: { workspace: 'team-a', provider: 'gitlab', key: 'GITLAB_TOKEN' },
    });
    const written = JSON.stringify([scene.records, scene.log.lines]);
    if (value !== '') expect(written).not.toContain(JSON.stringify(value).slice(1, -1));
    expect(written).not.toContain('glpat-');
  });

  it('in the wrong field is not repeated either', async () => {
    const scene = await open();
    const misplaced = { workspace: raw(), providerName: raw(), credentialKey: raw(), objectId: raw() };
    expect((await scene.refer(TOKEN, misplaced)).code).toBe(status.PERMISSION_DENIED);
    const named = { providerName: raw(), credentialKey: raw() };
    expect((await scene.refer(TOKEN, named)).code).toBe(status.OK);
    expect(JSON.stringify([scene.records, scene.log.lines])).not.toContain('glpat-');
  });
});

describe('an update, after which the gateway keeps the handle that it has', () => {
  const refused = {
    handle: '',
    code: status.FAILED_PRECONDITION,
    details:
      'credential GITLAB_TOKEN: the gateway would keep the old reference; delete the credential from the provider, then add it again',
  };

  it('to the same reference gives the same handle', async () => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    expect(await scene.refer(TOKEN, { existingHandle: { handle } })).toMatchObject({
      handle,
      code: status.OK,
    });
  });

  it('under another sealing key is refused, and deleting and adding works while the old key is mounted', async () => {
    const scene = await open();
    const previous = registerSecret(randomBytes(32));
    const { handle: first } = await scene.refer(TOKEN);
    scene.seal.write({ key: previous });
    // A key is in force once it gives another handle.
    await until(async () => (await scene.refer(TOKEN)).handle !== first);
    const { handle } = await scene.refer(TOKEN);
    scene.seal.write({ key: registerSecret(randomBytes(32)), previous });
    const update = () => scene.refer(TOKEN, { existingHandle: { handle } });
    await until(async () => (await update()).code !== status.OK);
    expect(await update()).toEqual(refused);
    expect((await scene.resolve(handle)).value).toBeDefined();
    const gone = { ...PROVIDER, credentialKey: 'GITLAB_TOKEN', handle: { handle } };
    expect((await scene.call('DeleteCredential', DeleteCredentialRequestSchema, gone)).code).toBe(status.OK);
    const added = await scene.refer(TOKEN);
    expect(added.code).toBe(status.OK);
    expect((await scene.resolve(added.handle)).value).toBeDefined();
  });

  it('to another reference is refused', async () => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    expect(await scene.refer(reference('narrow', 'public-key'), { existingHandle: { handle } })).toEqual(
      refused,
    );
    expect(scene.denied()).toMatchObject({ reason: 'handle-would-change', request: { key: 'GITLAB_TOKEN' } });
  });
});

describe('a reference', () => {
  const told = {
    code: status.PERMISSION_DENIED,
    details: 'credential GITLAB_TOKEN: this workspace may not use that reference',
  };

  it.each<[string, string, object]>([
    ['to a Secret of another workspace', reference('npm', 'token'), {}],
    ['to a Secret that nobody lists', reference('unlisted', 'token'), {}],
    ['to a key that is not listed', reference('narrow', 'private'), {}],
    ['to another namespace', reference('gitlab', 'token', 'kube-system'), {}],
    ['to the key that seals handles', reference('seal', 'key'), {}],
    ['of a workspace that is not configured', TOKEN, { workspace: 'team-c' }],
  ])('%s is PERMISSION_DENIED, always in the same words', async (_, text, change) => {
    const scene = await open();
    expect(await scene.refer(text, change)).toMatchObject(told);
    expect(scene.denied()).toMatchObject({
      reason: 'reference-not-allowed',
      reference: text.slice('k8s-secret://'.length),
    });
  });

  it('that references.allow leaves out is refused, whatever a workspace lists', async () => {
    const scene = await open({}, { references: { allow: [{ name: 'npm' }] } });
    expect(await scene.refer(TOKEN)).toMatchObject(told);
  });

  it.each(['workspace', 'providerId', 'credentialKey'])('without %s is malformed', async (field) => {
    const scene = await open();
    expect((await scene.refer(TOKEN, { [field]: '' })).code).toBe(status.INVALID_ARGUMENT);
    expect((await scene.refer(TOKEN, { [field]: 'x'.repeat(257) })).code).toBe(status.INVALID_ARGUMENT);
  });

  it('to a Secret that is not there yet is taken, and has ended until it is', async () => {
    const scene = await open();
    const { handle, code } = await scene.refer(reference('absent', 'token'));
    expect(code).toBe(status.OK);
    expect(await scene.resolve(handle)).toEqual({ value: undefined, code: status.OK, details: '' });
    expect(scene.denied()).toMatchObject({
      reason: 'secret-missing',
      answered: 'as expired',
      reference: `${NAMESPACE}/absent/token`,
      request: { workspace: 'team-a', provider: 'gitlab', providerId: PROVIDER_ID, key: 'GITLAB_TOKEN' },
    });
  });

  it.each<[string, Record<string, string | Buffer>, string]>([
    ['that was taken away', { other: 'x' }, 'key-missing'],
    ['that is empty', { token: '\n' }, 'empty'],
    ['with a line break', { token: 'a\nb' }, 'line-break-or-nul'],
    ['that is no text', { token: Buffer.from([0xff, 0xfe]) }, 'not-utf8'],
  ])('to a key %s withdraws the old value, and lets other providers live', async (_, data, reason) => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    expect((await scene.resolve(handle)).value).toBeDefined();
    scene.gitlab.write(data);
    await until(async () => (await scene.resolve(handle)).value === undefined);
    // A gateway asks for each provider by itself, and an error would cost the sandbox every provider that it has.
    expect((await scene.resolve(handle)).code).toBe(status.OK);
    expect(scene.audited('denied').at(-1)).toMatchObject({ reason, answered: 'as expired' });
  });

  it('that a reload no longer allows is refused at once, and its handle has ended', async () => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    expect((await scene.resolve(handle)).value).toBeDefined();
    scene.writeConfig({ workspaces: [{ name: 'team-a', secrets: [{ name: 'absent' }] }] });
    scene.reload();
    expect(await scene.refer(TOKEN)).toMatchObject(told);
    expect(await scene.resolve(handle)).toEqual({ value: undefined, code: status.OK, details: '' });
    expect(scene.audited('denied').at(-1)).toMatchObject({ reason: 'reference-not-allowed' });
    scene.writeConfig();
    scene.reload();
    await until(async () => (await scene.resolve(handle)).value !== undefined);
  });
});

describe('a handle', () => {
  const told = (key: string) => ({
    code: status.PERMISSION_DENIED,
    details: `credential ${key}: the handle is not valid for this credential`,
  });

  it.each<[string, (handle: string) => string, object]>([
    ['that was altered', (handle) => `${handle.slice(0, -2)}AA`, {}],
    ['of another version', (handle) => handle.replace('v1.', 'v2.'), {}],
    ['that is none', () => 'a plain name', {}],
    ['that is empty', () => '', {}],
    ['of another workspace', (handle) => handle, { workspace: 'team-b' }],
    ['of another provider', (handle) => handle, { providerId: '0b9e2f6e-3f4e-4a7e-9d6a-3a9c1f1e2d3d' }],
    ['of another credential', (handle) => handle, { credentialKey: 'NPM_TOKEN' }],
  ])('%s is refused', async (_, alter, change) => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    const key = 'credentialKey' in change ? String(change.credentialKey) : 'GITLAB_TOKEN';
    expect(await scene.resolve(alter(handle), change)).toMatchObject({ value: undefined, ...told(key) });
    expect(scene.denied()).toMatchObject({ reason: 'handle-not-valid', request: { provider: 'gitlab' } });
    expect(scene.audited('served')).toEqual([]);
  });

  it('that is not valid fails the whole batch, and no value of it leaves', async () => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    const request = (requestId: string, text: string) => ({
      ...PROVIDER,
      requestId,
      credentialKey: 'GITLAB_TOKEN',
      handle: { handle: text },
    });
    const { answers, code } = await scene.resolveAll([request('1', handle), request('2', `${handle}A`)]);
    expect({ answers, code }).toEqual({ answers: [], code: status.PERMISSION_DENIED });
  });

  it.each<[string, Record<string, string>, string]>([
    ['is not there', { other: newSecret() }, 'it is not mounted'],
    ['is too short', { key: 'x'.repeat(31) }, 'it has fewer than 32 bytes'],
  ])('cannot be made or read while the key %s', async (_, data, why) => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    scene.seal.write(data);
    await until(async () => (await scene.resolve(handle)).code === status.UNAVAILABLE);
    expect((await scene.refer(TOKEN)).code).toBe(status.UNAVAILABLE);
    expect(scene.audited('denied').at(-1)).toMatchObject({ reason: 'handle-key-unusable', why });
  });
});

describe('a name that the operator maps', () => {
  const names = (reference: object) => ({
    workspaces: [{ name: 'team-a', names: { 'gitlab.main': reference } }, { name: 'team-b' }],
  });
  const gitlab = { name: 'gitlab', key: 'token' };

  it('is stored, resolved, and followed when it is mapped to another key', async () => {
    const scene = await open(names(gitlab));
    const values = { token: newSecret(), other: newSecret() };
    scene.gitlab.write(values);
    const { handle, code } = await scene.refer('secret-resolver://gitlab.main');
    expect(code).toBe(status.OK);
    await until(async () => (await scene.resolve(handle)).value === values.token);
    expect(scene.audited('referred')[0]).toMatchObject({
      credentials: [{ reference: `${NAMESPACE}/gitlab/token` }],
    });
    scene.writeConfig(names({ ...gitlab, key: 'other' }));
    scene.reload();
    await until(async () => (await scene.resolve(handle)).value === values.other);
  });

  it.each<[string, string, object]>([
    ['is not mapped', 'secret-resolver://npm', {}],
    ['is mapped for another workspace', 'secret-resolver://gitlab.main', { workspace: 'team-b' }],
    ['maps a key that is named directly', TOKEN, {}],
  ])('is refused where it %s', async (_, text, change) => {
    const scene = await open(names(gitlab));
    expect((await scene.refer(text, change)).code).toBe(status.PERMISSION_DENIED);
  });

  it('is not a handle for the Secret behind it, nor the other way round', async () => {
    const both = { workspaces: [{ name: 'team-a', secrets: [{ name: 'gitlab' }], names: { a: gitlab } }] };
    const scene = await open(both);
    const [named, direct] = [await scene.refer('secret-resolver://a'), await scene.refer(TOKEN)];
    expect(named.handle).not.toBe(direct.handle);
    expect((await scene.refer(TOKEN, { existingHandle: { handle: named.handle } })).code).toBe(
      status.FAILED_PRECONDITION,
    );
  });
});

describe('a batch in which one credential has no value', () => {
  const ask = (requestId: string, credentialKey: string, handle: string) => ({
    ...PROVIDER,
    requestId,
    credentialKey,
    handle: { handle },
  });

  async function batch(scene: Scene, keys: readonly [string, string]) {
    scene.gitlab.write({ a: newSecret(), b: newSecret() });
    const [a, b] = [
      await scene.refer(reference('gitlab', 'a'), { credentialKey: keys[0] }),
      await scene.refer(reference('gitlab', 'b'), { credentialKey: keys[1] }),
    ];
    const asked = [ask('1', keys[0], a.handle), ask('2', keys[1], b.handle)];
    await until(async () => (await scene.resolveAll(asked)).answers.length === 2);
    return asked;
  }

  const EXPIRED = {
    value: new Uint8Array(),
    expiresAtMs: 1n,
    expirationTime: { seconds: 0n, nanos: 1_000_000 },
  };

  it.each<[string, Record<string, string>, string]>([
    ['is missing', {}, 'key-missing'],
    ['cannot be served', { b: 'x\ny' }, 'line-break-or-nul'],
  ])('answers the one that %s as expired, and the others with their values', async (_, rest, reason) => {
    const scene = await open();
    const asked = await batch(scene, ['A', 'B']);
    const a = newSecret();
    scene.gitlab.write({ a, ...rest });
    await until(async () => (await scene.resolveAll(asked)).answers[1]?.expiresAtMs === 1n);
    const { answers, code } = await scene.resolveAll(asked);
    expect(code).toBe(status.OK);
    expect(answers.map(({ requestId }) => requestId)).toEqual(['1', '2']);
    expect(Buffer.from(answers[0]?.value ?? []).toString()).toBe(a);
    expect(answers[1]).toMatchObject(EXPIRED);
    expect(scene.audited('denied').at(-1)).toMatchObject({
      reason,
      answered: 'as expired',
      reference: `${NAMESPACE}/gitlab/b`,
      request: { key: 'B' },
    });
    expect(scene.audited('served').at(-1)?.credentials).toMatchObject([{ key: 'A' }]);
  });

  it('answers one that may not be referred to any more as expired', async () => {
    const scene = await open();
    const asked = await batch(scene, ['A', 'B']);
    scene.writeConfig({ workspaces: [{ name: 'team-a', secrets: [{ name: 'gitlab', keys: ['a'] }] }] });
    scene.reload();
    expect((await scene.resolveAll(asked)).answers[1]).toMatchObject(EXPIRED);
    expect(scene.audited('denied').at(-1)).toMatchObject({ reason: 'reference-not-allowed' });
  });

  it.each<[string, readonly [string, string], boolean]>([
    ['withholds its provider where a profile requires it', ['OTHER', 'GITLAB_TOKEN'], true],
    ['goes on where an alternative to it has a value', ['GL_TOKEN', 'GITLAB_TOKEN'], false],
  ])('%s', async (_, keys, withheld) => {
    const scene = new Scene();
    opened.push(scene);
    scene.workspace.writeProfile('gitlab.yaml', {
      id: 'gitlab',
      credentials: [{ name: 'token', env_vars: ['GITLAB_TOKEN', 'GL_TOKEN'], required: true }],
    });
    scene.writeConfig();
    await scene.start();
    const asked = await batch(scene, keys);
    const providerId = PROVIDER_ID.replace('0', '1');
    const { handle } = await scene.refer(reference('gitlab', 'a'), { credentialKey: keys[0], providerId });
    asked.push({ ...ask('3', keys[0], handle), providerId });
    const a = newSecret();
    scene.gitlab.write({ a });
    await until(async () => (await scene.resolveAll(asked)).answers[1]?.expiresAtMs === 1n);
    const { answers, code } = await scene.resolveAll(asked);
    expect(code).toBe(status.OK);
    expect(answers.map(({ value }) => Buffer.from(value).toString())).toEqual([withheld ? '' : a, '', a]);
    if (withheld) expect(answers[0]).toMatchObject(EXPIRED);
    const reasons = scene
      .audited('denied')
      .slice(withheld ? -2 : -1)
      .map(({ reason }) => reason);
    expect(reasons).toEqual(withheld ? ['provider-withheld', 'key-missing'] : ['key-missing']);
  });
});

describe('a batch', () => {
  it('of nothing has no answers', async () => {
    const scene = await open();
    expect(await scene.resolveAll([])).toEqual({ answers: [], code: status.OK, details: '' });
  });

  it('with a request_id twice is malformed: an answer could not be told from the other', async () => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    const one = { ...PROVIDER, requestId: 'x', credentialKey: 'GITLAB_TOKEN', handle: { handle } };
    expect((await scene.resolveAll([one, one])).code).toBe(status.INVALID_ARGUMENT);
  });

  it('has an end, in credentials and in bytes', async () => {
    const scene = await open();
    scene.gitlab.write({ token: registerSecret(newSecret().repeat(1_700)) });
    const { handle } = await scene.refer(TOKEN);
    await until(async () => ((await scene.resolve(handle)).value?.length ?? 0) > 60_000);
    const many = (count: number) =>
      Array.from({ length: count }, (_, index) => ({
        ...PROVIDER,
        requestId: String(index),
        credentialKey: 'GITLAB_TOKEN',
        handle: { handle },
      }));
    expect(await scene.resolveAll(many(MAX_BATCH + 1))).toMatchObject({
      answers: [],
      code: status.RESOURCE_EXHAUSTED,
      details: 'too many credentials in one request',
    });
    expect(await scene.resolveAll(many(80))).toMatchObject({
      answers: [],
      code: status.RESOURCE_EXHAUSTED,
      details: 'the values do not fit one response',
    });
    expect((await scene.resolveAll(many(50))).answers).toHaveLength(50);
  });
});

describe('the socket', () => {
  it('lists nothing, and answers nothing but the driver', async () => {
    const scene = await open();
    expect(await scene.client.call('/openshell.credentials.v1.CredentialDriver/ListCredentials')).toEqual({
      code: status.UNIMPLEMENTED,
      details: 'this driver lists nothing',
    });
    expect((await scene.client.call('GetProviderEnvironment')).code).toBe(status.UNIMPLEMENTED);
    expect((await scene.client.call('/openshell.v1.OpenShell/GetSandboxProviderEnvironment')).code).toBe(
      status.UNIMPLEMENTED,
    );
  });

  it('is closed to whoever is not listed, the driver’s own UID among them', async () => {
    const scene = await open({ callers: [{ name: 'gateway', uid: uid + 1 }] });
    expect((await scene.refer(TOKEN)).code).toBe(status.UNAVAILABLE);
    expect(scene.audited('peer-refused').length).toBeGreaterThan(0);
    expect(scene.audited('peer-refused')[0]).toMatchObject({ reason: 'uid-not-listed', caller: { uid } });
  });

  it('is closed to a gateway that a reload takes off the list, on its open connection too', async () => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    scene.writeConfig({ callers: [] });
    scene.reload();
    await until(async () => (await scene.resolve(handle)).code === status.UNAVAILABLE);
  });

  it('takes garbage for what it is', async () => {
    const scene = await open();
    for (const operation of [
      'GetCapabilities',
      'StoreCredential',
      'DeleteCredential',
      'ResolveCredentials',
    ]) {
      const method = `/openshell.credentials.v1.CredentialDriver/${operation}`;
      expect((await scene.client.call(method, Buffer.from('ffffffffffffffff', 'hex'))).code).toBe(
        status.INVALID_ARGUMENT,
      );
    }
  });

  it('has a limit on requests', async () => {
    const scene = await open();
    await scene.restart({ requestsPerSecond: 1, requestBurst: 2 });
    const codes = [];
    for (let call = 0; call < 3; call++) codes.push((await scene.refer(TOKEN)).code);
    expect(codes).toEqual([status.OK, status.OK, status.RESOURCE_EXHAUSTED]);
  });

  it.each<[string, (scene: Scene) => void, status]>([
    [
      'the boundary is broken',
      ({ gateway: { state } }) => state.setBoundaryBroken(['x']),
      status.FAILED_PRECONDITION,
    ],
    ['the driver ends', ({ gateway: { state } }) => state.setDraining(), status.UNAVAILABLE],
    ['it is not ready', ({ gateway: { store } }) => store.drop(), status.UNAVAILABLE],
  ])('gives and takes nothing while %s', async (_, happen, expected) => {
    const scene = await open();
    const { handle } = await scene.refer(TOKEN);
    happen(scene);
    expect((await scene.resolve(handle)).code).toBe(expected);
    expect((await scene.refer(TOKEN)).code).toBe(expected);
  });
});
