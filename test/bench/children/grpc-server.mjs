/**
 * The least that a grpc-js server can be: one method that returns the same bytes each time. No TypeScript: what
 * strips the types would stay in its memory, which is measured.
 *
 *   grpc-server.mjs <socket> <bytes of a response>
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';

const [socket = '', bytes = '0'] = process.argv.slice(2);
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
