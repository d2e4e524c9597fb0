/**
 * The startup probe as kubelet makes it: asks grpc.health.v1 on TCP once a second until it is SERVING.
 *
 *   health-check.ts <port> <seconds>      exit 0 as soon as it serves, 1 where it does not in time
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';

const [port = '', seconds = '0'] = process.argv.slice(2);
/** HealthCheckResponse with status SERVING. */
const SERVING = '0801';

const identity = (bytes: Buffer): Buffer => bytes;

function check(): Promise<boolean> {
  return new Promise((resolve) => {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      identity,
      identity,
      Buffer.alloc(0),
      { deadline: Date.now() + 1_000 },
      (_error, response?: Buffer) => {
        client.close();
        resolve(response?.toString('hex') === SERVING);
      },
    );
  });
}

process.exitCode = 1;
for (let tries = 0; tries < Number(seconds) && process.exitCode !== 0; tries++) {
  if (await check()) process.exitCode = 0;
  else await sleep(1_000);
}
