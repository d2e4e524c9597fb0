/**
 * The least that pushes a rotation over gRPC: the barest loop, and a stream that is sent what it read.
 *
 *   push-server.ts <socket> <directory> <keys>
 */
import { readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

const [socket = '', directory = '', keys = '0'] = process.argv.slice(2);
const identity = (buffer: Buffer): Buffer => buffer;
const files = Array.from({ length: Number(keys) }, (_, index) => join(directory, '..data', `KEY_${index}`));
const read = (): Buffer => Buffer.concat(files.map((file) => readFileSync(file)));
const streams = new Set<ServerDuplexStream<Buffer, Buffer>>();
const server = new Server({ 'grpc.enable_channelz': 0 });
server.addService(
  {
    Watch: {
      path: '/secretresolver.v1.CredentialResolver/WatchProviderEnvironment',
      requestStream: true,
      responseStream: true,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  {
    Watch: (stream: ServerDuplexStream<Buffer, Buffer>) => {
      streams.add(stream);
      stream.on('error', () => {});
      stream.on('cancelled', () => streams.delete(stream));
      stream.on('data', () => {});
      stream.write(read());
    },
  } as UntypedServiceImplementation,
);
watch(directory, (_event, name) => {
  if (name !== '..data') return;
  const bytes = read();
  for (const stream of streams) stream.write(bytes);
});
server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.send?.({ ready: true });
});
