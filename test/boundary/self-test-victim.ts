/**
 * A small resolver to attack, with the fences and the faults that its specification names: it holds a Secret in
 * memory, in its environment and behind open descriptors, and serves it by gRPC to whom it admits.
 */
import { openSync, readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { create, type DescMethod, toBinary } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import {
  CredentialResolver,
  ProviderEnvironmentSchema,
} from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { peerCredentials, setNonDumpable } from '../../src/native/native.ts';
import { healthRoutes, Responder } from '../../src/observe/responder.ts';
import { SECRET_MOUNT, type VictimSpec } from './self-test-pod-spec.ts';

const spec = JSON.parse(process.argv[2] ?? '') as VictimSpec & { readonly socketPath?: string };
if (!spec.dumpable) setNonDumpable();

const key = `${SECRET_MOUNT}/${readdirSync(SECRET_MOUNT).find((name) => !name.startsWith('..'))}`;
const value = readFileSync(key);
openSync(key, 'r');
const answer = toBinary(
  ProviderEnvironmentSchema,
  create(ProviderEnvironmentSchema, { environment: { TOKEN: value } }),
);

/** The credential service on a grpc-js server. */
function credentialServer(): grpc.Server {
  const server = new grpc.Server();
  const method = (descriptor: DescMethod): grpc.MethodDefinition<Buffer, Buffer> => ({
    path: `/${CredentialResolver.typeName}/${descriptor.name}`,
    requestStream: descriptor.methodKind === 'bidi_streaming',
    responseStream: descriptor.methodKind === 'bidi_streaming',
    requestSerialize: (bytes) => bytes,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: (bytes) => bytes,
    responseDeserialize: (bytes) => bytes,
  });
  const denied = { code: grpc.status.PERMISSION_DENIED, details: 'no' };
  server.addService(
    Object.fromEntries(CredentialResolver.methods.map((one) => [one.name, method(one)])),
    Object.fromEntries(
      CredentialResolver.methods.map((one) => [
        one.name,
        one.methodKind === 'bidi_streaming'
          ? (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
              if (spec.denies) call.emit('error', denied);
              else call.write(Buffer.from(answer));
            }
          : (_call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
              if (spec.denies) reply(denied);
              else reply(null, Buffer.from(answer));
            },
      ]),
    ),
  );
  return server;
}

/** Admits by UID before a byte is read. */
function gate(): (socket: net.Socket) => void {
  const injector = credentialServer().createConnectionInjector(grpc.ServerCredentials.createInsecure());
  return (socket) => {
    socket.on('error', () => undefined);
    const fd = (socket as unknown as { _handle: { fd: number } })._handle.fd;
    if (spec.admits.includes(peerCredentials(fd).uid)) {
      injector.injectConnection(socket);
    } else {
      const end = performance.now() + spec.refusalCostMs;
      while (performance.now() < end);
      socket.destroy();
    }
  };
}

async function listen(address: net.ListenOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  net.createServer(gate()).on('error', reject).listen(address, resolve);
  return promise;
}

async function listenTcp(server: grpc.Server, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) =>
    error === null ? resolve() : reject(error),
  );
  return promise;
}

if (spec.socketPath !== undefined) {
  await listen({ path: spec.socketPath, writableAll: true, readableAll: true });
}
if (spec.secondPath !== undefined) {
  await listen({ path: spec.secondPath, writableAll: true, readableAll: true });
}
if (spec.abstractName !== undefined) await listen({ path: `\0${spec.abstractName}` });
if (spec.credentialPort !== undefined) await listenTcp(credentialServer(), spec.credentialPort);
if (spec.healthPort !== undefined) {
  const address = { host: '127.0.0.1', port: spec.healthPort };
  await Responder.open(
    'health.listen',
    address,
    healthRoutes(() => true),
  );
}
process.stdout.write('ready\n');
setInterval(() => undefined, 60_000);
