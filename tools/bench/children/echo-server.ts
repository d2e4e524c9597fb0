/** Echo over a Unix socket, for the floor below gRPC: echo-server.ts <socket> */
import { createServer } from 'node:net';

const [socket = ''] = process.argv.slice(2);
createServer((peer) => {
  peer.on('error', () => peer.destroy());
  peer.pipe(peer);
}).listen(socket, () => process.send?.({ ready: true }));
