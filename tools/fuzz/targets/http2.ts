/** Any bytes behind the injector: frames of a listed peer, in and out of order, whole and broken. */
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { callHeaders, frame, literal, STEPS, script } from '../frames.ts';
import { framed, LiveServer, PROMPT_MS, SERVING } from '../live-server.ts';
import { SECRET_WORD } from '../planted.ts';
import { must, type Target } from '../target.ts';

/** Milliseconds to wait for the answer to the last ping: a broken frame can leave the server waiting for its rest. */
const QUIET_MS = 12;
/** Inputs between two looks at the server as a whole. */
const LOOK_EVERY = 20;
/** Content of the ping that ends each script. */
const LAST_PING = Buffer.from('lastping');

const at = (name: (typeof STEPS)[number]) => STEPS.indexOf(name);
const step = (name: (typeof STEPS)[number], ...bytes: number[]) => Buffer.from([at(name), ...bytes]);
const input = (...steps: Buffer[]) => Buffer.concat([Buffer.from([0]), ...steps]);
const raw = (bytes: Buffer) => step('raw', bytes.byteLength, ...bytes);

/** What a test may replace. */
export interface Subject {
  /** Looks at what came back first, and may give something else. */
  readonly received: (bytes: Buffer, live: LiveServer) => Buffer;
}

export const http2: Target<Subject> = {
  name: 'http2',
  covers: ['src/socket/', 'src/socket/', 'src/observe/audit/'],
  maxBytes: 8 * 1024,
  maxCpuMs: 1_500,
  words: [
    ...SERVING.map((path) => literal(':path', Buffer.from(path))),
    ...SERVING.map((path) => raw(frame(1, 5, 1, callHeaders(path)).subarray(0, 255))),
    ...[
      'content-type',
      'te',
      'grpc-timeout',
      'grpc-encoding',
      'connection',
      ':status',
      ':path',
      'cookie',
      'host',
    ].map((name) => literal(name, Buffer.from('x'))),
    ...STEPS.map((_, index) => Buffer.from([index])),
    ...[step('again', 255), step('again', 100), step('pause'), step('ping', 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)],
    ...[step('settings', 0, 0, 1, 0, 4, 0, 0, 0, 0), step('settings', 0, 0, 1, 0, 4, 0x7f, 255, 255, 255)],
    ...[step('settings', 0, 0, 1, 0, 1, 0, 0, 0, 0), step('settings', 0, 0, 1, 0, 5, 0, 255, 255, 255)],
    ...[step('window', 0, 0x7f, 255, 255, 255), step('window', 5, 0, 0, 0, 1), step('reset', 0, 0, 0, 0, 8)],
    ...[
      step('huge', 0, 40, 0x61, 0, 0),
      step('huge', 0, 255, 0, 1, 0x40),
      step('goaway', 0, 8, 0, 0, 0, 0, 0, 0, 0, 0),
    ],
    ...[
      [0x82],
      [0x83],
      [0x86],
      [0xbe],
      [0xff, 0xff, 0xff, 0xff, 0x0f],
      [0x3f, 0xe1, 0x1f],
      [0x20],
      [0x7f],
      [0x80],
    ].map(Buffer.from),
    SECRET_WORD,
  ],
  seeds: [
    input(),
    ...SERVING.map((_, path) => input(step('call', 0, path, 2, path % 3, 0))),
    input(step('call', 0, 1, 0, 1, 0), step('message', 0, 0, 6, 0x12, 4, 8, 7, 0x10, 1)),
    input(step('call', 0, 3, 1, 0, 0), step('reset', 0, 0, 0, 0, 8)),
    input(step('call', 0, 4, 2, 0, 0), step('call', 2, 5, 2, 0, 0), step('call', 3, 6, 2, 0, 0)),
    ...STEPS.map((name) => input(step(name, 0, 0, 4, 1, 2, 3, 4), step('call', 2, 0, 2, 0, 0))),
    input(step('call', 0, 0, 2, 0, 0), step('pause'), step('again', 200)),
    input(
      raw(frame(1, 0, 1, callHeaders(SERVING[0]).subarray(0, 60))),
      raw(frame(9, 4, 1, callHeaders(SERVING[0]).subarray(60))),
    ),
    input(raw(frame(0, 1, 1, framed(Buffer.alloc(0))))),
    input(step('huge', 0, 60, 0x61, 0, 0), step('again', 20)),
    Buffer.from([15, at('raw'), 20, ...Buffer.from('GET / HTTP/1.1\r\n\r\n  ')]),
  ],

  async open({ received: seen = (bytes: Buffer) => bytes } = {}) {
    const live = await LiveServer.start();
    let runs = 0;
    const look = async () => {
      await live.stillServes();
      await live.leavesNoDescriptors();
    };
    return {
      run: async (given) => {
        const pieces = script(live.sent.into(given));
        const received = seen(await exchange(live.test.socket, pieces), live).toString('latin1');
        live.closed.notIn(received, 'what came back');
        if (received.includes(live.open.secret))
          must(
            asksForValues(Buffer.concat(pieces)),
            'a value came back to a connection that made no call for it',
          );
        live.saidNothingWrong();
        live.noteClosed(given);
        runs += 1;
        if (runs % LOOK_EVERY === 0) await look();
      },
      settle: async () => {
        await live.letsGo();
        await look();
      },
      [Symbol.asyncDispose]: () => live[Symbol.asyncDispose](),
    };
  },
};

/** Sends the pieces and a ping, and returns what came until its answer, the end of the connection, or silence. */
async function exchange(path: string, pieces: readonly Buffer[]): Promise<Buffer> {
  const socket = connect(path);
  const received: Buffer[] = [];
  let tail = Buffer.alloc(0);
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  let quiet = setTimeout(end, PROMPT_MS);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  socket.once('close', () => end());
  socket.on('data', (bytes: Buffer) => {
    received.push(bytes);
    tail = Buffer.concat([tail.subarray(-16), bytes]);
    if (tail.includes(LAST_PING)) end();
  });
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  for (const piece of pieces) {
    await written(socket, piece);
    await setImmediate();
  }
  await written(socket, frame(6, 0, 0, LAST_PING));
  clearTimeout(quiet);
  quiet = setTimeout(end, QUIET_MS);
  await over;
  clearTimeout(quiet);
  socket.destroy();
  await closed;
  return Buffer.concat(received);
}

/** Waits until the kernel took it, or the connection is over; a server that stopped reading is not waited for. */
function written(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.destroyed || bytes.byteLength === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const patience = setTimeout(resolve, QUIET_MS);
    const done = () => {
      clearTimeout(patience);
      resolve();
    };
    socket.once('close', done);
    socket.write(bytes, () => {
      socket.off('close', done);
      done();
    });
  });
}

/**
 * Whether the name of a call that gives values is among the bytes, also where frames cut it up. A name in HPACK's
 * Huffman code would not be seen: no input begins with one, and none came out of a search.
 */
function asksForValues(bytes: Buffer): boolean {
  const names = SERVING.map((path) => path.slice(path.lastIndexOf('/') + 1));
  const blocks: Buffer[] = [];
  for (let from = bytes.indexOf('SM\r\n\r\n') + 6; from + 9 <= bytes.byteLength; ) {
    const length = bytes.readUIntBE(from, 3);
    const type = bytes[from + 3];
    const padding = ((bytes[from + 4] ?? 0) & 8) !== 0 ? (bytes[from + 9] ?? 0) : 0;
    const payload = bytes.subarray(from + 9, from + 9 + length);
    if (type === 1) blocks.push(payload.subarray(0, payload.byteLength - padding));
    if (type === 9) blocks.push(payload);
    from += 9 + length;
  }
  const texts = [bytes, Buffer.concat(blocks)];
  return names.some((name) => texts.some((text) => text.includes(name)));
}
