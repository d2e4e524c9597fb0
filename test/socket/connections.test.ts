/** What a listed peer may do to the others: nothing. */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AcknowledgeOutcome,
  GetProviderEnvironmentRequestSchema,
  ProviderEnvironmentSchema,
  WatchProviderEnvironmentRequestSchema,
} from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { until } from '../support/cli.ts';
import { RawClient } from '../support/raw-calls.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { Workspace } from '../support/workspace.ts';

let server: TestServer;
const sockets: Socket[] = [];

async function open(limits: Parameters<typeof TestServer.open>[1] = {}) {
  const workspace = new Workspace();
  workspace.writeBulkProvider('nvbugs', 'nvbugs');
  server = await TestServer.open(workspace, limits);
  server.publish({ nvbugs: { TOKEN: newSecret() } });
}

beforeEach(() => open());

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server[Symbol.asyncDispose]();
});

function rawConnection(): Socket {
  const socket = connect(server.socket);
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

async function answersStill(): Promise<void> {
  using client = new RawClient(server.socket);
  expect((await client.call('GetProviderEnvironment')).code).toBe(status.OK);
}

function beginCall(session: ClientHttp2Session, bytes: Uint8Array): ClientHttp2Stream {
  const request = session.request({
    ':method': 'POST',
    ':path': '/secretresolver.v1.CredentialResolver/GetProviderEnvironment',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  request.on('error', () => {});
  request.write(bytes);
  return request;
}

/** A request with a field of this length that no version of the protocol has, after the message's length. */
function paddedRequest(bytes: number): Buffer {
  const field = new BinaryWriter()
    .tag(15_000, WireType.LengthDelimited)
    .bytes(new Uint8Array(bytes))
    .finish();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(field.byteLength, 1);
  return Buffer.concat([prefix, field]);
}

describe('a listed peer', () => {
  it('is named in the audit of its calls', async () => {
    using client = new RawClient(server.socket);
    await client.call('GetProviderEnvironment');
    expect(server.audited('served')[0]?.unmapped).toMatchObject({
      caller: { name: 'supervisor', pid: process.pid },
    });
  });

  it('that dribbles a byte now and then is closed when its time for a first call is over', async () => {
    await server[Symbol.asyncDispose]();
    await open({ firstCallTimeoutMs: 300 });
    const socket = rawConnection();
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
    let sent = 0;
    const timer = setInterval(() => socket.write(preface[sent++ % preface.length] ?? 'P'), 50);
    const began = performance.now();
    await new Promise((done) => socket.once('close', done));
    clearInterval(timer);
    expect(performance.now() - began).toBeLessThan(2_000);
    await answersStill();
  });

  it('that sends garbage loses its own connection only', async () => {
    await server[Symbol.asyncDispose]();
    // Half a frame is not an error yet: such a connection ends with the time for its first call.
    await open({ firstCallTimeoutMs: 300 });
    using other = new RawClient(server.socket);
    await other.call('GetProviderEnvironment');
    for (const garbage of [
      Buffer.alloc(65_536, 0xff),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff', 'latin1'),
    ]) {
      const socket = rawConnection();
      socket.resume();
      socket.write(garbage);
      await new Promise((done) => socket.once('close', done));
    }
    expect((await other.call('GetProviderEnvironment')).code).toBe(status.OK);
    await answersStill();
  });

  it('that sends huge headers is refused, and the others are served', async () => {
    const session: ClientHttp2Session = connectHttp2('http://localhost', {
      createConnection: () => rawConnection(),
    });
    session.on('error', () => {});
    const request = session.request({
      ':method': 'POST',
      ':path': '/secretresolver.v1.CredentialResolver/GetProviderEnvironment',
      'content-type': 'application/grpc',
      te: 'trailers',
      'x-fill': 'x'.repeat(200_000),
    });
    const grpcStatus = await new Promise((done) => {
      request.on('error', () => done('closed'));
      request.on('response', (headers) => done(headers['grpc-status'] ?? headers[':status']));
      request.on('close', () => done('closed'));
    });
    expect(grpcStatus).not.toBe('0');
    session.destroy();
    await answersStill();
  });

  it('that opens a thousand connections gets its share, and another UID would get its own', async () => {
    const opened = Array.from({ length: 1_000 }, () => rawConnection());
    await until(() => opened.filter((socket) => socket.destroyed).length >= 1_000 - 80, 10_000);
    // 64 that may call, 16 that are told, and not one more.
    expect(server.server.connections).toBe(80);
    expect(server.audited('peer-refused').length).toBeLessThanOrEqual(6);
    for (const socket of opened) socket.destroy();
    await until(() => server.server.connections === 0);
    await answersStill();
  });

  it('that asks and does not read is refused before its answers fill the memory, and served again when it has read', async () => {
    await server[Symbol.asyncDispose]();
    await open({ unreadBytesPerUid: 60_000 });
    server.publish({ nvbugs: { TOKEN: registerSecret(newSecret().padEnd(40_000, 'x')) } });
    // A window of nothing: not a byte of an answer can be sent.
    const session = connectHttp2('http://localhost', {
      createConnection: () => rawConnection(),
      settings: { initialWindowSize: 0 },
    });
    session.on('error', () => {});
    const ask = () => beginCall(session, Buffer.alloc(5)).end();
    const held = [ask(), ask()];
    await until(() => server.audited('served').length === 2);
    const third = ask();
    const code = await new Promise((done) =>
      third
        .on('response', (headers) => done(headers['grpc-status']))
        .on('trailers', (trailers) => done(trailers['grpc-status'])),
    );
    expect(code).toBe(String(status.RESOURCE_EXHAUSTED));
    expect(server.audited('denied').at(-1)?.unmapped).toMatchObject({ reason: 'too-much-unread' });
    // Letting go of an answer makes room, as reading it would.
    for (const request of held) request.close();
    await until(async () => {
      using client = new RawClient(server.socket);
      return (await client.call('GetProviderEnvironment')).code === status.OK;
    });
    session.destroy();
  });

  it.each([
    { what: 'is read one connection at a time, and served', connections: 12, calls: 4, refused: 0 },
    { what: 'is refused where one connection alone holds too much', connections: 1, calls: 30, refused: 1 },
  ])('that begins many large requests at once $what', async ({ connections, calls, refused }) => {
    await server[Symbol.asyncDispose]();
    await open({ inboundBytesPerUid: 512 * 1024, inboundBytesPerSecond: 1e9 });
    const message = paddedRequest(60_000);
    const sessions = Array.from({ length: connections }, () =>
      connectHttp2('http://localhost', { createConnection: () => rawConnection() }),
    );
    // Of each message one half, on every connection, before the first has its other half: 1.4 MB on 12 connections.
    const requests = sessions.flatMap((session) =>
      Array.from({ length: calls }, () => beginCall(session, message.subarray(0, 30_000))),
    );
    const ended = requests.map((request) =>
      Promise.race([once(request, 'trailers'), once(request, 'response')]),
    );
    await setTimeout(100);
    for (const request of requests) request.resume().end(message.subarray(30_000));
    const codes = (await Promise.all(ended)).map(([headers]) => headers['grpc-status']);
    for (const session of sessions) session.destroy();
    const reasons = new Set(server.audited('denied').map(({ unmapped }) => unmapped.reason));
    expect(reasons).toEqual(new Set(refused > 0 ? ['too-much-unfinished'] : []));
    expect(codes.includes(String(status.RESOURCE_EXHAUSTED))).toBe(refused > 0);
    await answersStill();
  });

  it('that acknowledges without end is told to slow down, and fills no audit', async () => {
    await server[Symbol.asyncDispose]();
    await open({ requestsPerSecond: 1, requestBurst: 30 });
    server.publish({ nvbugs: { TOKEN: newSecret() } });
    using client = new RawClient(server.socket);
    const watch = client.stream('WatchProviderEnvironment');
    const message = (value: Parameters<typeof create<typeof WatchProviderEnvironmentRequestSchema>>[1]) =>
      watch.send(
        toBinary(WatchProviderEnvironmentRequestSchema, create(WatchProviderEnvironmentRequestSchema, value)),
      );
    message({ message: { case: 'subscribe', value: {} } });
    await until(() => watch.messages.length === 1);
    const revision = fromBinary(
      ProviderEnvironmentSchema,
      watch.messages[0] ?? Buffer.alloc(0),
    ).providerEnvRevision;
    for (let again = 0; again < 200; again++)
      message({ message: { case: 'acknowledge', value: { revision, outcome: AcknowledgeOutcome.APPLIED } } });
    expect(await watch.ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(server.audited('acknowledged')).toHaveLength(1);
  });

  it('whose calls are refused without end is audited a number of times, and counted', async () => {
    await server[Symbol.asyncDispose]();
    await open({ inboundBytesPerSecond: 1e12 });
    using client = new RawClient(server.socket);
    const request = toBinary(
      GetProviderEnvironmentRequestSchema,
      create(GetProviderEnvironmentRequestSchema, {
        providers: Array.from({ length: 20 }, (_, index) => `${index}`.padEnd(200, 'n')),
      }),
    );
    for (let call = 0; call < 200; call++)
      expect((await client.call('GetProviderEnvironment', request)).code).toBe(status.PERMISSION_DENIED);
    expect(server.audited('denied')).toHaveLength(50);
    // What is asked for by name is repeated in part only.
    expect(JSON.stringify(server.audited('denied')[0]).length).toBeLessThan(2_500);
  });

  it('may ping every 10 s and more often without being taken for an attacker', async () => {
    const session = connectHttp2('http://localhost', { createConnection: () => rawConnection() });
    session.on('error', () => {});
    await new Promise((done) => session.once('connect', done));
    let goaway = false;
    session.on('goaway', () => {
      goaway = true;
    });
    for (let ping = 0; ping < 50; ping++) {
      await new Promise<void>((done, fail) =>
        session.ping((error) => (error === null ? done() : fail(error))),
      );
    }
    expect(goaway).toBe(false);
    expect(session.closed).toBe(false);
    session.destroy();
  });

  it('that goes away leaves nothing behind', async () => {
    using client = new RawClient(server.socket);
    await client.call('GetProviderEnvironment');
    expect(server.server.connections).toBe(1);
    client[Symbol.dispose]();
    await until(() => server.server.connections === 0);
  });
});
