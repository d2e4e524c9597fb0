import { createServer } from 'node:net';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import {
  HealthCheckResponse_ServingStatus as Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from '../../src/gen/grpc/health/v1/health_pb.ts';
import { LIVENESS_SERVICE as PROBED } from '../../src/manifest/sidecar.ts';
import { SnapshotStore } from '../../src/resolve/snapshot.ts';
import { HealthListener, LIVENESS_SERVICE } from '../../src/server/health.ts';
import { ServingState } from '../../src/server/serving-state.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

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
