import { spawn } from 'node:child_process';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import {
  HealthCheckResponse_ServingStatus as Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from '../../src/gen/grpc/health/v1/health_pb.ts';
import { LIVENESS_SERVICE as PROBED } from '../../src/manifest/sidecar.ts';
import { HEALTH_LIMITS } from '../../src/observe/health-connections.ts';
import { HealthListener, type HealthListenerOptions } from '../../src/observe/health-listener.ts';
import { LIVENESS_SERVICE } from '../../src/observe/health-service.ts';
import { OwnAddresses } from '../../src/observe/own-addresses.ts';
import { SnapshotStore } from '../../src/snapshot/snapshot.ts';
import { ServingState } from '../../src/socket/serving-state.ts';
import { until } from '../support/cli.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { freePort } from '../support/free-port.ts';
import { RawClient } from '../support/raw-calls.ts';
import { TestServer } from '../support/test-server.ts';
import { Workspace } from '../support/workspace.ts';

it('is alive, and not ready, while nothing can be served: the kubelet must not restart it', async () => {
  const port = await freePort();
  const state = new ServingState(new SnapshotStore());
  await using _listener = await HealthListener.open({ host: '127.0.0.1', port }, state, []);
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const check = (service: string) =>
    new Promise((done) => {
      client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (name: string) =>
          Buffer.from(
            toBinary(HealthCheckRequestSchema, {
              $typeName: 'grpc.health.v1.HealthCheckRequest',
              service: name,
            }),
          ),
        (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes).status,
        service,
        (error, answer) => done(error?.code ?? answer),
      );
    });
  try {
    expect(await check('')).toBe(Health.NOT_SERVING);
    expect(await check(LIVENESS_SERVICE)).toBe(Health.SERVING);
    expect(await check('unheard')).toBe(status.NOT_FOUND);
    // What inject writes into the liveness probe is what is answered here.
    expect(PROBED).toBe(LIVENESS_SERVICE);
  } finally {
    client.close();
  }
});

/** Loopback addresses that stand for the kubelet's and the agent's: the listener is told which is the pod's own. */
const KUBELET = '127.0.0.3';
const asInAPod: HealthListenerOptions = { isOwn: (address) => address !== KUBELET };

/** One probe as the kubelet makes it: a connection of its own, one Check, one second. The status, or why there is none. */
function probe(port: number, from: string): Promise<number | string> {
  const session = connectHttp2(`http://127.0.0.1:${port}`, {
    createConnection: () => connect({ host: '127.0.0.1', port, localAddress: from }),
  });
  return new Promise<number | string>((done) => {
    const timer = setTimeout(() => done('timeout'), 1_000);
    session.on('error', (error) => done(String((error as NodeJS.ErrnoException).code)));
    session.on('close', () => done('closed'));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => {});
    stream.on('data', (bytes: Buffer) => {
      clearTimeout(timer);
      done(fromBinary(HealthCheckResponseSchema, bytes.subarray(5)).status);
    });
    stream.end(Buffer.alloc(5));
  }).finally(() => session.destroy());
}

const median = (times: number[]) => times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN;

describe('a flood on the port from inside the pod', () => {
  it.each([
    ['idle', 3_000],
    ['preface', 3_000],
    ['checks', 500],
    ['nonsense', 500],
  ])(
    'of %s connections is noticed neither by a supervisor nor by the kubelet',
    async (mode, connections) => {
      await using test = await TestServer.open(new Workspace());
      test.publish({});
      const port = await freePort();
      const listener = await HealthListener.open({ host: '127.0.0.1', port }, test.state, [], asInAPod);
      await using _listener = listener;
      using supervisor = new RawClient(test.socket);
      const timed = async () => {
        const began = performance.now();
        expect((await supervisor.call('ListCredentials')).code).toBe(status.OK);
        return performance.now() - began;
      };
      await timed();
      expect(await probe(port, KUBELET)).toBe(Health.SERVING);
      await until(() => listener.size === 0);
      const before = openDescriptors().length;

      const flood = spawn(process.execPath, [
        join(import.meta.dirname, 'health-flood.ts'),
        ...[String(port), mode, String(connections)],
      ]);
      const ended = new Promise((done) => flood.once('exit', done));
      try {
        await new Promise((done) => flood.stdout.once('data', done));
        const times: number[] = [];
        let most = 0;
        const end = performance.now() + 2_000;
        while (performance.now() < end) {
          times.push(await timed());
          most = Math.max(most, openDescriptors().length - before, listener.size);
          if (times.length % 20 === 1) expect(await probe(port, KUBELET)).toBe(Health.SERVING);
          await new Promise((wake) => setTimeout(wake, 10));
        }
        expect(median(times)).toBeLessThan(25);
        expect(Math.max(...times)).toBeLessThan(500);
        // Of the flood's own kind; a few more for the kubelet's and what is just being closed.
        expect(most).toBeLessThanOrEqual(HEALTH_LIMITS.places + 8);
      } finally {
        flood.stdin.end();
        await ended;
      }
      await until(() => listener.size === 0);
      await until(() => openDescriptors().length <= before);
      await until(async () => (await probe(port, '127.0.0.2')) === Health.SERVING);
    },
    30_000,
  );
});

describe('a place on the port', () => {
  const open = async (options: HealthListenerOptions) => {
    const port = await freePort();
    const state = new ServingState(new SnapshotStore());
    const listener = await HealthListener.open({ host: '127.0.0.1', port }, state, [], options);
    return { port, listener };
  };

  it('goes to the newcomer when all are taken by peers that call nothing', async () => {
    const { port, listener } = await open({ limits: { connectionBurst: 1_000 } });
    await using _listener = listener;
    const silent = Array.from({ length: 40 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    await until(() => silent.every(({ connecting }) => !connecting));
    expect(await probe(port, '127.0.0.1')).toBe(Health.NOT_SERVING);
    expect(listener.size).toBeLessThanOrEqual(HEALTH_LIMITS.places);
    for (const socket of silent) socket.destroy();
  });

  it('is lost without a first call, and after a while without a further one', async () => {
    const { port, listener } = await open({ limits: { firstCallMs: 100, idleMs: 300 } });
    await using _listener = listener;
    const silent = connect(port, '127.0.0.1').resume();
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const checked = await new Promise((done) =>
      client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.alloc(0),
        (error) => done(error?.code ?? status.OK),
      ),
    );
    expect(checked).toBe(status.OK);
    await new Promise((done) => silent.once('close', done));
    await until(() => listener.size === 1);
    await until(() => listener.size === 0);
    client.close();
  });

  it('is kept by a watch', async () => {
    const { port, listener } = await open({ limits: { firstCallMs: 100, idleMs: 100 } });
    await using _listener = listener;
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const watch = client.makeServerStreamRequest(
      '/grpc.health.v1.Health/Watch',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      Buffer.alloc(0),
    );
    watch.on('error', () => {});
    await new Promise((done) => watch.once('data', done));
    await new Promise((wake) => setTimeout(wake, 500));
    expect(listener.size).toBe(1);
    watch.cancel();
    await until(() => listener.size === 0);
    client.close();
  });
});

it('knows the addresses of its own network', () => {
  const own = new OwnAddresses();
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', undefined])
    expect(own.has(address, 0), String(address)).toBe(true);
  for (const list of Object.values(networkInterfaces()))
    for (const { address } of list ?? []) {
      expect(own.has(address, 0), address).toBe(true);
      if (address.includes('.')) expect(own.has(`::ffff:${address}`, 0), address).toBe(true);
    }
  for (const address of ['203.0.113.7', '::ffff:203.0.113.7', '2001:db8::7'])
    expect(own.has(address, 0), address).toBe(false);
});
