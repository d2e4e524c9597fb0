import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AcknowledgeOutcome,
  GetStatusResponseSchema,
  ProviderEnvironmentSchema,
  WatchProviderEnvironmentRequestSchema,
} from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { until } from '../support/cli.ts';
import { RawClient, type RawWatch } from '../support/raw-calls.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

let server: TestServer;
let client: RawClient;

beforeEach(async () => {
  const workspace = new Workspace();
  for (const name of ['one', 'two']) {
    workspace.writeProvider(`${name}.yaml`, {
      name,
      type: 'custom',
      endpoints: ENDPOINTS,
      credentials: {
        [name.toUpperCase()]: {
          source: { type: 'kubernetesSecret', namespace: NAMESPACE, name, key: 'token' },
        },
      },
    });
  }
  server = await TestServer.open(workspace);
  client = new RawClient(server.socket);
});

afterEach(async () => {
  client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

const encode = (message: Parameters<typeof create<typeof WatchProviderEnvironmentRequestSchema>>[1]) =>
  toBinary(WatchProviderEnvironmentRequestSchema, create(WatchProviderEnvironmentRequestSchema, message));
const decode = (bytes: Buffer | undefined) => fromBinary(ProviderEnvironmentSchema, bytes ?? Buffer.alloc(0));

function watch(...providers: string[]): RawWatch {
  const stream = client.stream('WatchProviderEnvironment');
  stream.send(encode({ message: { case: 'subscribe', value: { providers } } }));
  return stream;
}

describe('a watch', () => {
  it('gets the current snapshot, then each new one', async () => {
    const values = [newSecret(), newSecret()];
    server.publish({ one: { token: values[0] ?? '' } });
    const stream = watch();
    await until(() => stream.messages.length === 1);
    server.publish({ one: { token: values[1] ?? '' } });
    await until(() => stream.messages.length === 2);
    const [first, second] = stream.messages.map(decode);
    expect(Buffer.from(first?.environment.ONE ?? []).toString()).toBe(values[0]);
    expect(Buffer.from(second?.environment.ONE ?? []).toString()).toBe(values[1]);
    expect(first?.providerEnvRevision).not.toBe(second?.providerEnvRevision);
    expect(first?.staticCredentialBindings.ONE?.workloadCredentialHandle).toBe(
      second?.staticCredentialBindings.ONE?.workloadCredentialHandle,
    );
  });

  it('of some providers is not told of others', async () => {
    const one = newSecret();
    server.publish({ one: { token: one }, two: { token: newSecret() } });
    const stream = watch('one');
    await until(() => stream.messages.length === 1);
    server.publish({ one: { token: one }, two: { token: newSecret() } });
    server.publish({ one: { token: newSecret() }, two: { token: newSecret() } });
    await until(() => stream.messages.length === 2);
    await new Promise((done) => setTimeout(done, 50));
    expect(stream.messages).toHaveLength(2);
    expect(stream.messages.map((bytes) => Object.keys(decode(bytes).environment))).toEqual([
      ['ONE'],
      ['ONE'],
    ]);
  });

  it('goes on after the client has closed its own side', async () => {
    server.publish({ one: { token: newSecret() } });
    const stream = watch();
    await until(() => stream.messages.length === 1);
    stream.stream.end();
    server.publish({ one: { token: newSecret() } });
    await until(() => stream.messages.length === 2);
  });

  it('has its acknowledgements kept and audited; one of a revision that was never sent is not', async () => {
    server.publish({ one: { token: newSecret() } });
    const stream = watch();
    await until(() => stream.messages.length === 1);
    const revision = decode(stream.messages[0]).providerEnvRevision;
    stream.send(
      encode({
        message: {
          case: 'acknowledge',
          value: { revision: revision + 1n, outcome: AcknowledgeOutcome.APPLIED },
        },
      }),
    );
    stream.send(
      encode({ message: { case: 'acknowledge', value: { revision, outcome: AcknowledgeOutcome.REJECTED } } }),
    );
    await until(() => server.audited('acknowledged').length > 0);
    expect(server.audited('acknowledged').map(({ unmapped }) => unmapped.revision)).toEqual([
      String(revision),
    ]);
    const { response } = await client.call('GetStatus');
    expect(fromBinary(GetStatusResponseSchema, response ?? Buffer.alloc(0)).watchers[0]).toMatchObject({
      servedRevision: revision,
      acknowledgedRevision: revision,
      acknowledgedOutcome: AcknowledgeOutcome.REJECTED,
    });
  });

  it('that does not read is sent the newest snapshot only, once it reads again', async () => {
    // A client whose window is one small frame: what it does not read cannot be sent.
    const big = (text: string) => registerSecret(text.padEnd(60_000, text));
    server.publish({ one: { token: big(newSecret()) } });
    const socket = connect(server.socket);
    const session = connectHttp2('http://localhost', {
      createConnection: () => socket,
      settings: { initialWindowSize: 16_384 },
    });
    const request = session.request({
      ':method': 'POST',
      ':path': '/secretresolver.v1.CredentialResolver/WatchProviderEnvironment',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const body = encode({ message: { case: 'subscribe', value: { providers: [] } } });
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(body.byteLength, 1);
    request.write(Buffer.concat([frame, body]));
    request.pause();
    await until(() => server.audited('served').length === 1);
    const last = newSecret();
    for (let rotation = 0; rotation < 200; rotation++) server.publish({ one: { token: big(newSecret()) } });
    server.publish({ one: { token: last } });
    let received = Buffer.alloc(0);
    const messages: Buffer[] = [];
    request.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      for (;;) {
        const length = received.byteLength < 5 ? -1 : received.readUInt32BE(1);
        if (length < 0 || received.byteLength < 5 + length) return;
        messages.push(received.subarray(5, 5 + length));
        received = received.subarray(5 + length);
      }
    });
    request.resume();
    await until(
      () =>
        messages.length > 1 && Buffer.from(decode(messages.at(-1)).environment.ONE ?? []).toString() === last,
      5_000,
      () => `${messages.length} messages`,
    );
    // The first, which was on its way, and the newest: nothing queued between.
    expect(messages.length).toBeLessThanOrEqual(3);
    expect(server.audited('served').length).toBeLessThanOrEqual(3);
    session.destroy();
  });

  it('is behind from the first revision that it has not acknowledged, and a late one has no lag', async () => {
    const acknowledge = (stream: RawWatch, at: number) =>
      stream.send(
        encode({
          message: {
            case: 'acknowledge',
            value: {
              revision: decode(stream.messages[at]).providerEnvRevision,
              outcome: AcknowledgeOutcome.APPLIED,
            },
          },
        }),
      );
    const state = () => server.server.watches[0];
    server.publish({ one: { token: newSecret() } });
    await new Promise((wake) => setTimeout(wake, 50));
    const stream = watch();
    await until(() => stream.messages.length === 1);
    // The Secret is older than the watch: its age is no lag.
    expect(state()?.servedLagMs).toBe(0);
    acknowledge(stream, 0);
    await until(() => state()?.unacknowledgedMs === 0);
    const lag = state()?.acknowledgedLagMs;

    server.publish({ one: { token: newSecret() } });
    await until(() => stream.messages.length === 2);
    await new Promise((wake) => setTimeout(wake, 50));
    server.publish({ one: { token: newSecret() } });
    await until(() => stream.messages.length === 3);
    // Since the second, which is the oldest; and what was acknowledged is still the first.
    expect(state()?.unacknowledgedMs).toBeGreaterThan(45);
    expect(state()).toMatchObject({ acknowledgedOutcome: 'applied', acknowledgedLagMs: lag });
    // The newest settles those before it. Each counts once, so that a peer cannot fill the audit with one revision.
    for (const at of [2, 2, 1]) acknowledge(stream, at);
    await until(() => state()?.unacknowledgedMs === 0);
    await new Promise((wake) => setTimeout(wake, 50));
    expect(server.audited('acknowledged')).toHaveLength(2);
    expect(server.audited('acknowledged').map(({ metadata }) => metadata.correlation_uid)).toEqual(
      [0, 2].map((at) => server.audited('served')[at]?.metadata.correlation_uid),
    );
  });

  it('that is cancelled leaves no subscriber', async () => {
    server.publish({ one: { token: newSecret() } });
    const before = server.store.subscriberCount;
    const streams = Array.from({ length: 20 }, () => watch());
    await until(() => streams.every((stream) => stream.messages.length === 1));
    expect(server.server.watches).toHaveLength(20);
    for (const { stream } of streams) stream.cancel();
    await until(() => server.server.watches.length === 0);
    expect(server.store.subscriberCount).toBe(before);
  });
});
