/** HTTP/2 frames by hand, well formed and not, as the bytes of an input say. */
import { Bytes } from './bytes.ts';
import { framed, OTHER, SANDBOX_ID, SERVING } from './live-server.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const PATHS = [...SERVING, ...OTHER, '/', '*', ''] as const;

/** Frame types, and the steps of a script that are no frame of their own. */
export const STEPS = [
  'call',
  'headers',
  'continuation',
  'data',
  'message',
  'settings',
  'window',
  'reset',
  'ping',
  'goaway',
  'priority',
  'push',
  'any',
  'raw',
  'huge',
  'again',
  'pause',
] as const;
const STREAMS = [1, 1, 3, 5, 7, 0, 2, 0x7fffffff] as const;
/** Frames in one script, those of `again` included. */
const MAX_FRAMES = 600;

/** gRPC messages that mean something to our calls. */
const MESSAGES = [
  Buffer.alloc(0),
  Buffer.from([0x0a, 0x00]),
  Buffer.concat([
    Buffer.from([0x0a, SANDBOX_ID.length]),
    Buffer.from(SANDBOX_ID),
    Buffer.from([0x10, 1, 0x18, 1]),
  ]),
] as const;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(Math.min(payload.byteLength, 0xffffff), 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK integer with a prefix of `bits` bits. */
function integer(value: number, bits: number, first: number): Buffer {
  const most = (1 << bits) - 1;
  if (value < most) return Buffer.from([first | value]);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/** A header as a literal; `index` is 0x40 where the peer is to remember it. */
export function literal(name: string, value: Uint8Array, index = 0): Buffer {
  const key = Buffer.from(name);
  return Buffer.concat([
    Buffer.from([index]),
    integer(key.byteLength, 7, 0),
    key,
    integer(value.byteLength, 7, 0),
    value,
  ]);
}

/** Header block of a gRPC call. */
export function callHeaders(path: string, more: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([
    literal(':method', Buffer.from('POST')),
    literal(':scheme', Buffer.from('http')),
    literal(':authority', Buffer.from('localhost')),
    literal(':path', Buffer.from(path)),
    literal('content-type', Buffer.from('application/grpc')),
    literal('te', Buffer.from('trailers')),
    more,
  ]);
}

/** What an input has a client send: pieces, with a pause between two of them. */
export function script(input: Buffer): Buffer[] {
  const bytes = new Bytes(input);
  const pieces: Buffer[][] = [[]];
  const opening = bytes.number();
  if (opening % 16 !== 15) pieces[0]?.push(PREFACE);
  if (opening % 8 !== 7) pieces[0]?.push(frame(4, 0, 0, Buffer.alloc(0)));
  let last: Buffer = Buffer.alloc(0);
  let count = 0;
  while (bytes.left > 0 && count < MAX_FRAMES) {
    const name = bytes.pick(STEPS);
    if (name === 'pause') {
      pieces.push([]);
      continue;
    }
    if (name === 'again') {
      const times = Math.min(bytes.number(), MAX_FRAMES - count);
      pieces.at(-1)?.push(...Array<Buffer>(times).fill(last));
      count += times;
      continue;
    }
    last = step(name, bytes);
    pieces.at(-1)?.push(last);
    count += 1;
  }
  return pieces.map((piece) => Buffer.concat(piece));
}

function step(name: Exclude<(typeof STEPS)[number], 'pause' | 'again'>, bytes: Bytes): Buffer {
  const stream = bytes.pick(STREAMS);
  switch (name) {
    case 'call': {
      const path = bytes.pick(PATHS);
      const flags = bytes.number();
      const message = framed(bytes.pick(MESSAGES), flags >> 6 === 3 ? 1 : 0);
      const headers = frame(1, 4 | (flags & 1), stream, callHeaders(path, bytes.some()));
      return (flags & 1) === 1
        ? headers
        : Buffer.concat([headers, frame(0, (flags >> 1) & 1, stream, message)]);
    }
    case 'headers':
      return frame(1, bytes.number(), stream, bytes.some());
    case 'continuation':
      return frame(9, bytes.number(), stream, bytes.some());
    case 'data':
      return frame(0, bytes.number(), stream, bytes.some());
    case 'message':
      return frame(0, bytes.number() & 1, stream, framed(bytes.some()));
    case 'settings': {
      const flags = bytes.number();
      const entries = Array.from({ length: bytes.number() % 40 }, () => {
        const entry = Buffer.alloc(6);
        entry.writeUInt16BE(bytes.number() % 10, 0);
        entry.writeUInt32BE(bytes.long(), 2);
        return entry;
      });
      return frame(
        4,
        flags & 0x81,
        flags & 2 ? stream : 0,
        Buffer.concat([...entries, bytes.take(flags & 4)]),
      );
    }
    case 'window':
      return frame(8, 0, stream, bytes.take(4));
    case 'reset':
      return frame(3, 0, stream, bytes.take(4));
    case 'ping':
      return frame(6, bytes.number() & 1, bytes.number() % 4 === 3 ? stream : 0, bytes.take(8));
    case 'goaway':
      return frame(7, 0, 0, bytes.some());
    case 'priority':
      return frame(2, 0, stream, bytes.take(5));
    case 'push':
      return frame(5, bytes.number(), stream, bytes.some());
    case 'any':
      return frame(bytes.number(), bytes.number(), bytes.long(), bytes.some());
    case 'raw':
      return bytes.some();
    case 'huge': {
      const value = Buffer.alloc(bytes.number() * 256, bytes.number());
      const block = callHeaders(bytes.pick(PATHS), literal('x-huge', value, bytes.number() & 0x40));
      const pieces: Buffer[] = [];
      for (let from = 0; from < block.byteLength; from += 16_000) {
        const ends = from + 16_000 >= block.byteLength ? 4 : 0;
        pieces.push(frame(from === 0 ? 1 : 9, ends, stream, block.subarray(from, from + 16_000)));
      }
      return Buffer.concat(pieces);
    }
  }
}
