/**
 * The least that a grpc-js server can be: one method that returns the same bytes each time. No TypeScript: what
 * strips the types would stay in its memory, which is measured.
 *
 *   grpc-server.mjs <socket> <bytes of a response> [native]
 *
 * `native` loads koffi as well, as whoever must know its peers does: Node has no call that tells who connected.
 */
import { createRequire } from 'node:module';
import { Server, ServerCredentials } from '@grpc/grpc-js';

const [socket = '', bytes = '0', native] = process.argv.slice(2);
if (native !== undefined) createRequire(import.meta.url)('koffi').load(null);
const identity = (buffer) => buffer;
const response = Buffer.alloc(Number(bytes), 'x');
// What the resolver leaves out, its baseline leaves out too.
const server = new Server({ 'grpc.enable_channelz': 0 });
server.addService(
  {
    Get: {
      path: '/bench.Empty/Get',
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  },
  { Get: (_call, callback) => callback(null, response) },
);
server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
  process.send?.({ ready: true });
});
