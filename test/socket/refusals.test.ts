/**
 * Each refusal of a call, over a real socket: its code, its words, and the line in the audit. What a refused
 * peer gets is in peers.test.ts.
 */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import {
  AcknowledgeOutcome,
  GetProviderEnvironmentRequestSchema,
  ProviderEnvironmentSchema,
  WatchProviderEnvironmentRequestSchema,
} from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { socketRefusal } from '../../src/socket/refusal.ts';
import { cli, until } from '../support/cli.ts';
import { RawClient, type RawWatch } from '../support/raw-calls.ts';
import { newSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { ENDPOINTS, NAMESPACE, SANDBOX, Workspace } from '../support/workspace.ts';

const get = (...providers: string[]) =>
  toBinary(GetProviderEnvironmentRequestSchema, create(GetProviderEnvironmentRequestSchema, { providers }));
const subscribe = (...providers: string[]) =>
  toBinary(
    WatchProviderEnvironmentRequestSchema,
    create(WatchProviderEnvironmentRequestSchema, { message: { case: 'subscribe', value: { providers } } }),
  );
const acknowledge = (revision: bigint, outcome: AcknowledgeOutcome = AcknowledgeOutcome.APPLIED) =>
  toBinary(
    WatchProviderEnvironmentRequestSchema,
    create(WatchProviderEnvironmentRequestSchema, {
      message: { case: 'acknowledge', value: { revision, outcome } },
    }),
  );

const uid = process.getuid?.() ?? 0;
const opened: (Disposable | AsyncDisposable)[] = [];

afterEach(async () => {
  for (const item of opened.splice(0).reverse()) {
    if (Symbol.asyncDispose in item) await item[Symbol.asyncDispose]();
    else item[Symbol.dispose]();
  }
});

/** A server with one provider that this user may see, `mine`, and one that it may not, `theirs`. */
async function open(
  options: { limits?: Parameters<typeof TestServer.open>[1]; callers?: unknown[]; required?: boolean } = {},
) {
  const workspace = new Workspace();
  const source = (name: string) => ({ type: 'kubernetesSecret', namespace: NAMESPACE, name, key: 'token' });
  workspace.writeProvider('mine.yaml', {
    name: 'mine',
    type: 'custom',
    endpoints: ENDPOINTS,
    credentials: { MINE: { source: source('mine'), required: options.required === true } },
  });
  workspace.writeProvider('theirs.yaml', {
    name: 'theirs',
    type: 'custom',
    endpoints: ENDPOINTS,
    credentials: { THEIRS: { source: source('theirs') } },
  });
  workspace.writeConfig({ callers: options.callers ?? [{ name: 'supervisor', uid, providers: ['mine'] }] });
  const server = await TestServer.open(workspace, options.limits);
  const client = new RawClient(server.socket);
  opened.push(server, client);
  return { server, client };
}

const publish = (server: TestServer) =>
  server.publish({ mine: { token: newSecret() }, theirs: { token: newSecret() } });

/** The one record of a denied call. */
function denied(server: TestServer) {
  const records = server.audited('denied');
  expect(records).toHaveLength(1);
  return records[0]?.unmapped;
}

async function firstMessage(watch: RawWatch): Promise<void> {
  await until(() => watch.messages.length > 0);
}

describe('a provider', () => {
  it.each([
    ['that the caller may not see', 'theirs'],
    ['that does not exist', 'nobody'],
  ])('%s is PERMISSION_DENIED, in the same words', async (_what, provider) => {
    const { server, client } = await open();
    publish(server);
    expect(await client.call('GetProviderEnvironment', get('mine', provider))).toEqual({
      code: status.PERMISSION_DENIED,
      details: 'no such provider for this caller',
    });
    expect(denied(server)).toMatchObject({
      outcome: 'denied',
      reason: 'provider-not-allowed',
      providers: ['mine', provider],
      caller: { name: 'supervisor', uid, pid: process.pid },
      sandbox: SANDBOX,
    });
    expect(server.audited('served')).toEqual([]);
  });

  it('is shown in the audit by its own name, and another text only where it reads as a name', async () => {
    const { server, client } = await open();
    publish(server);
    const token = newSecret('glpat');
    await client.call('GetProviderEnvironment', get('theirs', 'nobody-here', token, `a\n${token}`));
    expect(denied(server)).toMatchObject({ providers: ['theirs', 'nobody-here', '<name>', '<name>'] });
    expect(JSON.stringify(server.records)).not.toContain(token.slice(6, 18));
  });

  it('is refused to a watch as to a call', async () => {
    const { server, client } = await open();
    publish(server);
    const watch = client.stream('WatchProviderEnvironment');
    watch.send(subscribe('theirs'));
    expect(await watch.ended).toEqual({
      code: status.PERMISSION_DENIED,
      details: 'no such provider for this caller',
    });
    expect(denied(server)).toMatchObject({ reason: 'provider-not-allowed' });
    expect(watch.messages).toEqual([]);
  });

  it('that the caller may not see is in no response, list or status', async () => {
    const { server, client } = await open();
    publish(server);
    for (const method of ['GetProviderEnvironment', 'ListCredentials', 'GetStatus']) {
      const { response, code } = await client.call(method);
      expect(code).toBe(status.OK);
      expect(response?.toString('latin1')).not.toMatch(/theirs|THEIRS/);
    }
  });
});

describe('the boundary', () => {
  it('when it is broken ends every call and every stream with FAILED_PRECONDITION', async () => {
    const { server, client } = await open();
    publish(server);
    const watch = client.stream('WatchProviderEnvironment');
    watch.send(subscribe());
    await firstMessage(watch);
    server.state.setBoundaryBroken(['self-capabilities']);
    server.server.endAll(socketRefusal({ kind: 'boundary-broken', findings: ['self-capabilities'] }));
    const told = {
      code: status.FAILED_PRECONDITION,
      details: 'the isolation boundary is not proven; nothing is served',
    };
    expect(await watch.ended).toEqual(told);
    expect(await client.call('GetProviderEnvironment')).toEqual(told);
    expect(await client.call('ListCredentials')).toEqual(told);
    expect(server.state.isServing()).toBe(false);
    expect(server.audited('denied').map(({ unmapped }) => unmapped.reason)).toEqual([
      'boundary-broken',
      'boundary-broken',
      'boundary-broken',
    ]);
  });
});

describe('a required credential that is refused', () => {
  const told = {
    code: status.FAILED_PRECONDITION,
    details: 'the required credential MINE of provider mine is refused',
  };

  it('refuses the call, naming provider and key and not the cause', async () => {
    const { server, client } = await open({ required: true });
    server.publish({ theirs: { token: newSecret() } });
    expect(await client.call('GetProviderEnvironment')).toEqual(told);
    expect(denied(server)).toMatchObject({ reason: 'secret-missing', provider: 'mine', key: 'MINE' });
    expect(server.state.isServing()).toBe(false);
  });

  it('ends a new watch and one that is open alike, after the value was withdrawn', async () => {
    const { server, client } = await open({ required: true });
    const secret = newSecret();
    server.publish({ mine: { token: secret } });
    const watch = client.stream('WatchProviderEnvironment');
    watch.send(subscribe());
    await firstMessage(watch);
    expect(watch.messages[0]?.includes(secret)).toBe(true);
    server.publish({});
    expect(await watch.ended).toEqual(told);
    expect(watch.messages[1]?.includes(secret)).toBe(false);
    const late = client.stream('WatchProviderEnvironment');
    late.send(subscribe());
    expect(await late.ended).toEqual(told);
    expect(late.messages).toEqual([watch.messages[1]]);
    await until(() => server.server.watches.length === 0);
    server.publish({ mine: { token: newSecret() } });
    const again = client.stream('WatchProviderEnvironment');
    again.send(subscribe());
    await firstMessage(again);
    expect(server.state.isServing()).toBe(true);
  });

  it('withholds no other provider, from a Get, a new watch and one that is open alike', async () => {
    const callers = [{ name: 'supervisor', uid, providers: ['*'] }];
    const { server, client } = await open({ required: true, callers });
    const theirs = newSecret();
    server.publish({ mine: { token: newSecret() }, theirs: { token: theirs } });
    const watch = client.stream('WatchProviderEnvironment');
    watch.send(subscribe());
    await firstMessage(watch);
    server.publish({ theirs: { token: theirs } });
    await until(() => watch.messages.length === 2);
    const late = client.stream('WatchProviderEnvironment');
    late.send(subscribe());
    await firstMessage(late);
    const { response } = await client.call('GetProviderEnvironment');
    for (const bytes of [watch.messages[1], late.messages[0], response]) {
      const { environment, refusals } = fromBinary(ProviderEnvironmentSchema, bytes ?? Buffer.alloc(0));
      expect(Object.keys(environment)).toEqual(['THEIRS']);
      expect(refusals).toMatchObject([
        { provider: 'mine', key: 'MINE', reason: 'secret-missing', required: true },
      ]);
    }
    expect(await client.call('GetProviderEnvironment', get('mine'))).toEqual(told);
    expect(server.state.isServing()).toBe(false);
  });
});

describe('the moment', () => {
  it('before the first snapshot is UNAVAILABLE', async () => {
    const { server, client } = await open();
    expect(await client.call('GetProviderEnvironment')).toEqual({
      code: status.UNAVAILABLE,
      details: 'not ready yet; try again',
    });
    expect(denied(server)).toMatchObject({ reason: 'not-ready' });
    expect(server.state.isServing()).toBe(false);
  });

  it('of the shutdown is UNAVAILABLE, for open streams too', async () => {
    const { server, client } = await open();
    publish(server);
    const watch = client.stream('WatchProviderEnvironment');
    watch.send(subscribe());
    await firstMessage(watch);
    server.state.setDraining();
    const told = { code: status.UNAVAILABLE, details: 'shutting down; try again' };
    expect(await client.call('GetProviderEnvironment')).toEqual(told);
    expect(denied(server)).toMatchObject({ reason: 'draining' });
    await server.server.drain(socketRefusal({ kind: 'draining' }));
    expect(await watch.ended).toEqual(told);
  });
});

describe('a limit', () => {
  it('on requests is RESOURCE_EXHAUSTED and lifts with time', async () => {
    const { server, client } = await open({ limits: { requestsPerSecond: 20, requestBurst: 2 } });
    publish(server);
    const codes = [];
    for (let call = 0; call < 3; call++) codes.push(await client.call('GetProviderEnvironment'));
    expect(codes.map(({ code }) => code)).toEqual([status.OK, status.OK, status.RESOURCE_EXHAUSTED]);
    expect(codes[2]?.details).toBe('too many requests of this UID; slow down');
    expect(denied(server)).toMatchObject({ reason: 'too-many-requests' });
    await until(async () => (await client.call('GetProviderEnvironment')).code === status.OK, 2_000);
  });

  it('on watches is RESOURCE_EXHAUSTED, and a watch that ended makes room', async () => {
    const { server, client } = await open({ limits: { watchesPerUid: 1 } });
    publish(server);
    const first = client.stream('WatchProviderEnvironment');
    first.send(subscribe());
    await firstMessage(first);
    const second = client.stream('WatchProviderEnvironment');
    second.send(subscribe());
    expect(await second.ended).toEqual({
      code: status.RESOURCE_EXHAUSTED,
      details: 'too many watches of this UID',
    });
    expect(denied(server)).toMatchObject({ reason: 'too-many-watches' });
    first.stream.cancel();
    await until(() => server.server.watches.length === 0);
    const third = client.stream('WatchProviderEnvironment');
    third.send(subscribe());
    await firstMessage(third);
  });

  it('on connections is RESOURCE_EXHAUSTED for the next few and silence for the rest', async () => {
    const { server, client } = await open({ limits: { connectionsPerUid: 1, excessConnectionsPerUid: 1 } });
    publish(server);
    expect((await client.call('GetProviderEnvironment')).code).toBe(status.OK);
    using second = new RawClient(server.socket);
    const held = second.stream('WatchProviderEnvironment');
    held.send(subscribe());
    expect(await held.ended).toEqual({
      code: status.RESOURCE_EXHAUSTED,
      details: 'too many connections of this UID',
    });
    expect(denied(server)).toMatchObject({ reason: 'too-many-connections' });
    // The excess connection was closed after its answer, so its place is free again; the first one never suffered.
    await until(() => server.server.connections === 1);
    expect((await client.call('GetProviderEnvironment')).code).toBe(status.OK);
  });
});

describe('a malformed request', () => {
  const told = { code: status.INVALID_ARGUMENT, details: 'the request is malformed' };
  const garbage = Buffer.from('ffffffffffffffff', 'hex');

  it.each(['GetProviderEnvironment', '/openshell.v1.OpenShell/GetSandboxProviderEnvironment'])(
    'to %s is INVALID_ARGUMENT',
    async (method) => {
      const { server, client } = await open();
      publish(server);
      expect(await client.call(method, garbage)).toEqual(told);
      expect(denied(server)).toMatchObject({ reason: 'malformed-request' });
    },
  );

  it.each([
    ['garbage', [garbage]],
    ['an empty message', [Buffer.alloc(0)]],
    ['an acknowledgement first', [acknowledge(1n)]],
    ['a second subscription', [subscribe(), subscribe()]],
    ['an acknowledgement without outcome', [subscribe(), acknowledge(1n, AcknowledgeOutcome.UNSPECIFIED)]],
  ])('in a watch ends it: %s', async (_what, messages) => {
    const { server, client } = await open();
    publish(server);
    const watch = client.stream('WatchProviderEnvironment');
    for (const message of messages) watch.send(message);
    expect(await watch.ended).toEqual(told);
    expect(denied(server)).toMatchObject({ reason: 'malformed-request' });
    await until(() => server.server.watches.length === 0);
    // Everything else goes on.
    expect((await client.call('GetProviderEnvironment')).code).toBe(status.OK);
  });

  it('of more than 64 KiB is refused by size', async () => {
    const { server, client } = await open();
    publish(server);
    expect((await client.call('GetProviderEnvironment', Buffer.alloc(64 * 1024 + 1))).code).toBe(
      status.RESOURCE_EXHAUSTED,
    );
    expect((await client.call('GetProviderEnvironment')).code).toBe(status.OK);
  });

  it('to a method that does not exist is UNIMPLEMENTED', async () => {
    const { client } = await open();
    expect((await client.call('DeleteEverything')).code).toBe(status.UNIMPLEMENTED);
    expect((await client.call('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')).code).toBe(
      status.UNIMPLEMENTED,
    );
  });
});

describe("the resolver's own UID", () => {
  it('where no rule lists it sees names and states, and no value', async () => {
    const { server, client } = await open({ callers: [] });
    const secret = newSecret();
    server.publish({ mine: { token: secret }, theirs: { token: newSecret() } });
    // Another process of our UID, as kubectl exec starts one.
    const ask = (...args: string[]) => cli([...args, '--socket', server.workspace.socket]);
    const list = await ask('list');
    expect({ code: list.code, secret: list.stdout.includes(secret) }).toEqual({ code: 0, secret: false });
    expect((await ask('status', '-o', 'json')).code).not.toBe(3);
    const refused = {
      code: 1,
      stdout: '',
      stderr: 'secret-resolver: refused: this caller may see names and states only\n',
    };
    expect(await ask('get', '--reveal')).toMatchObject(refused);
    expect(denied(server)).toMatchObject({ reason: 'names-only', caller: { name: 'self' } });
    expect(await ask('watch')).toMatchObject(refused);
    // A connection that claims to be of our own process is one of a kernel that does not know its peers.
    expect((await client.call('ListCredentials')).code).toBe(status.UNAVAILABLE);
  });
});
