/**
 * What an agent does to the health port, from a process of its own:
 * `node health-flood.ts <port> <idle|preface|checks|nonsense> <connections>`. Connects so often, again and again
 * where it is closed, sends what its mode says, and ends when its input ends. Prints `flooding` when it is under way.
 */
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';

const [port = '', mode = 'idle', connections = '0'] = process.argv.slice(2);
/** Loopback address that stands for the agent's container. */
const AGENT = '127.0.0.2';
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('000000040000000000', 'hex'),
]);
/** Connections open or under way at once, so that the flood comes in waves and does not exhaust this process. */
const AT_ONCE = 500;

const dial = () => connect({ host: '127.0.0.1', port: Number(port), localAddress: AGENT });
let made = 0;
function open(): void {
  if (made >= Number(connections)) return;
  made += 1;
  const socket = dial();
  socket.on('error', () => {});
  socket.once('close', open);
  if (mode === 'preface') socket.once('connect', () => socket.write(PREFACE));
}

function call(): void {
  if (made >= Number(connections)) return;
  made += 1;
  const session = connectHttp2(`http://127.0.0.1:${port}`, { createConnection: dial });
  session.on('error', () => {});
  session.once('close', call);
  const one = () => {
    if (session.destroyed || session.closed) return;
    const stream = session.request({
      ':method': 'POST',
      ':path': mode === 'checks' ? '/grpc.health.v1.Health/Check' : '/no/such',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => {});
    stream.once('close', one);
    stream.resume();
    stream.end(Buffer.alloc(5));
  };
  session.once('connect', () => {
    for (let stream = 0; stream < 15; stream++) one();
  });
}

const begin = mode === 'idle' || mode === 'preface' ? open : call;
for (let index = 0; index < AT_ONCE; index++) begin();
setTimeout(() => process.stdout.write('flooding\n'), 100);
process.stdin.on('end', () => process.exit(0)).resume();
