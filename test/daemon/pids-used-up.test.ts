/** The agent forks until the pod has no PID left, and then every kind of message is sent: none may need a thread of its own. */
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deflate, gzip } from 'node:zlib';
import { fromBinary } from '@bufbuild/protobuf';
import { afterEach, expect, it } from 'vitest';
import { ProviderEnvironmentSchema } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { until } from '../support/cli.ts';
import { SEEN_BY } from '../support/pod-world.ts';
import { RawClient, SERVICE } from '../support/raw-calls.ts';
import { AGENT_UID, as, PORTS, ResolverPod } from '../support/resolver-pod.ts';
import { describeAsRoot } from '../support/root.ts';
import { newSecret } from '../support/secrets.ts';
import type { Workspace } from '../support/workspace.ts';

const MAX_PIDS = 64;
/** Takes every PID that there is and stays, with one child that waits for each. */
const FORKS = `$| = 1;
  while (defined(my $pid = fork)) { if (!$pid) { sleep 600; exit } }
  print "full\\n"; sleep 600;`;

/** The first message of a watch, which other methods take for an unknown field. */
const SUBSCRIBE = Buffer.from('0a00', 'hex');
const SDS = ['StreamSecrets', 'DeltaSecrets'].map(
  (method) => `/envoy.service.secret.v3.SecretDiscoveryService/${method}`,
);
/** Asks either of them for one secret. */
const WANT = Buffer.concat([Buffer.from('1a07', 'hex'), Buffer.from('TOKEN_0')]);

const METHODS = [
  ...['GetProviderEnvironment', 'WatchProviderEnvironment', 'ListCredentials', 'GetStatus'].map(
    (method) => `${SERVICE}/${method}`,
  ),
  '/openshell.v1.OpenShell/GetSandboxProviderEnvironment',
  ...SDS,
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
  '/no/such',
];

let pod: ResolverPod;
afterEach(() => pod[Symbol.asyncDispose]());

/** What a call answered: its gRPC status, or `open` for a stream that goes on. */
function call(socket: string, path: string, encoding: string, message: Buffer): Promise<string> {
  const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
  return new Promise<string>((resolve, reject) => {
    session.on('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-encoding': encoding,
    });
    const note = (headers: Readonly<Record<string, unknown>>) => {
      if (headers['grpc-status'] !== undefined) resolve(String(headers['grpc-status']));
    };
    stream.on('response', note).on('trailers', note).on('error', reject);
    stream.on('data', () => setTimeout(() => resolve('open'), 200));
    const head = Buffer.alloc(5);
    head.writeUInt8(encoding === 'identity' ? 0 : 1);
    head.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([head, message]));
  }).finally(() => session.destroy());
}

describeAsRoot('with all PIDs of the pod used up', () => {
  it.each([
    ['stdout', () => ({})],
    ['a file', ({ root }: Workspace) => ({ audit: { path: join(root, 'run/audit.json') } })],
  ])(
    'and the audit in %s, lives through every kind of message and serves the supervisor meanwhile',
    async (_name, config) => {
      pod = await ResolverPod.open({ maxPids: MAX_PIDS }, config);
      const { serve, workspace, world } = pod;
      const agent = pod.start('pod', 'agent', [...as(AGENT_UID), 'perl', '-e', FORKS]);
      await agent.line(0);
      expect(world.pids).toBe(MAX_PIDS);

      const supervisor = await pod.attacker('pod', undefined, 'supervisor.ts', workspace.socket, '50');
      await supervisor.ask();
      const garbage = Buffer.from('not compressed at all');
      for (const path of METHODS) {
        const message = SDS.includes(path) ? WANT : SUBSCRIBE;
        const messages = {
          identity: message,
          gzip: await promisify(gzip)(message),
          deflate: await promisify(deflate)(message),
        };
        for (const [encoding, bytes] of Object.entries(messages))
          expect(await call(workspace.socket, path, encoding, bytes), `${path} ${encoding}`).toMatch(
            /^\d+$|^open$/,
          );
        await call(workspace.socket, path, 'gzip', garbage);
      }
      for (const mode of ['idle', 'requests', 'single-bytes', 'junk']) {
        const targets = Object.values(PORTS).map((port) => `${SEEN_BY.neighbour.pod},${port}`);
        const flood = await pod.attacker('neighbour', undefined, 'flood.ts', mode, ...targets);
        await new Promise((wake) => setTimeout(wake, 500));
        expect((await flood.end<{ made: number }>()).made).toBeGreaterThan(0);
      }
      const { ms } = await supervisor.ask<{ ms: number[] }>();
      // A rotation is read by the pool.
      pod.rotate();
      await until(async () => (await supervisor.ask<{ seenAt: number[] }>()).seenAt.length > 0);
      // A reload runs the file that reads the configuration anew.
      workspace.secret('later').write({ LATER: newSecret() });
      workspace.writeBulkProvider('later', 'later');
      using client = new RawClient(workspace.socket);
      await until(async () => {
        const { response = Buffer.alloc(0) } = await client.call('GetProviderEnvironment');
        return Object.hasOwn(fromBinary(ProviderEnvironmentSchema, response).environment, 'LATER');
      }, 20_000);
      expect(world.pids).toBe(MAX_PIDS);
      expect(ms.length).toBeGreaterThan(0);
      expect(serve.child.exitCode).toBeNull();
    },
    120_000,
  );
});
