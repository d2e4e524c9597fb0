/**
 * Attacks TCP ports from a process of its own: `flood.ts <mode> <host>,<port>[,<source>]...`, until its input ends.
 * The modes are below. Prints `flooding` when it is under way and `{"made": n}`, its connections, at the end.
 */
import { connect, type Socket } from 'node:net';

const [mode = '', ...targets] = process.argv.slice(2);
const list = targets.map((target) => {
  const [host = '', port = '', localAddress] = target.split(',');
  return { host, port: Number(port), ...(localAddress === undefined ? {} : { localAddress }) };
});
let made = 0;

function dial(use: (socket: Socket) => void, ended: () => void): Socket {
  made += 1;
  const target = list[made % list.length];
  if (target === undefined) throw new Error('no target');
  const socket = connect(target).on('error', () => {});
  // What is not answered holds no place in this process either.
  const timer = setTimeout(() => socket.destroy(), 3_000);
  socket.once('connect', () => use(socket));
  socket.once('close', () => {
    clearTimeout(timer);
    ended();
  });
  return socket;
}

/** So many at once, each anew as soon as it is closed. */
function keep(count: number, use: (socket: Socket) => void): void {
  const next = () => dial(use, () => setImmediate(next));
  for (let index = 0; index < count; index++) next();
}

/** As many as this process can make, without ever waiting. So many are open at once: the oldest makes room. */
function pour(count: number, use: (socket: Socket) => void): void {
  const open = new Set<Socket>();
  const next = () => {
    const socket = dial(use, () => open.delete(socket));
    open.add(socket);
    if (open.size > count) open.values().next().value?.destroy();
    setImmediate(next);
  };
  next();
}

function request(path: string): (socket: Socket) => void {
  return (socket) => socket.resume().end(`GET ${path} HTTP/1.1\r\nhost: pod\r\n\r\n`);
}

/** So many a second, evenly. */
function pace(perSecond: number, use: (socket: Socket) => void): void {
  setInterval(() => dial(use, () => {}), 1_000 / perSecond);
}

const of2MiB = (start: string | Buffer, rest: string | Buffer) => {
  const head = Buffer.from(start as string, 'latin1');
  return Buffer.concat([head, Buffer.alloc(2 * 1024 * 1024 - head.byteLength, rest)]);
};
/** Nothing in particular, a request whose headers never end, HTTP/2 with empty frames, and the start of TLS. */
const JUNK = [
  of2MiB('', 'x'),
  of2MiB('GET /livez HTTP/1.1\r\n', 'a: b\r\n'),
  of2MiB('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', Buffer.from('000000040000000000', 'hex')),
  of2MiB('\x16\x03\x01\x40\x00\x01\x00', '\0'),
];
const uses = {
  'connect-and-close': (socket) => socket.destroy(),
  idle: (socket) => socket.resume(),
  requests: (socket) => request(made % 2 === 0 ? '/livez' : '/metrics')(socket),
  'single-bytes': (socket) => {
    socket.setNoDelay(true).resume();
    const timer = setInterval(() => socket.write('x'), 2);
    socket.once('close', () => clearInterval(timer));
  },
} satisfies Readonly<Record<string, (socket: Socket) => void>>;
const modes: Readonly<Record<string, () => void>> = {
  'without ever waiting': () => {
    const kinds = Object.values(uses);
    pour(500, (socket) => kinds[(made >> 3) % kinds.length]?.(socket));
  },
  idle: () => keep(500, uses.idle),
  requests: () => keep(100, uses.requests),
  'single-bytes': () => keep(50, uses['single-bytes']),
  junk: () => keep(16, (socket) => socket.resume().write(JUNK[made % JUNK.length] ?? '')),
  '20 connections a second': () => pace(20, (socket) => setTimeout(() => socket.destroy(), 500)),
  '10 checks a second': () => pace(10, request('/livez')),
};
modes[mode]?.();
setTimeout(() => process.stdout.write('flooding\n'), 200);
process.stdin
  .on('end', () => {
    process.stdout.write(`${JSON.stringify({ made })}\n`, () => process.exit(0));
  })
  .resume();
