/** Reads and forgets whatever comes to a TCP port, until it is killed: `sink.ts <port>`. Prints `listening`. */
import { createServer } from 'node:net';

createServer((socket) => {
  socket.on('error', () => {}).resume();
}).listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('listening\n'));
