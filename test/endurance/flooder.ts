/**
 * A listed caller that means harm, with sockets and frames of its own. Runs until its input ends, and prints a line
 * of counts each second.
 *
 *   flooder.ts <unfinished|unread|unknown|rate|churn> <socket>
 */
import { connect, type Socket } from 'node:net';

const [attack = '', path = ''] = process.argv.slice(2);

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const DATA = 0x0;
const HEADERS = 0x1;
const RST_STREAM = 0x3;
const SETTINGS = 0x4;
const GOAWAY = 0x7;
const WINDOW_UPDATE = 0x8;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const ACK = 0x1;

const GET = '/secretresolver.v1.CredentialResolver/GetProviderEnvironment';
const WATCH = '/secretresolver.v1.CredentialResolver/WatchProviderEnvironment';
const counts = { connections: 0, calls: 0, bytes: 0, answers: 0, resets: 0, closed: 0 };

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
/** HPACK without tables: a literal that is not indexed. */
const header = (name: string, value: string) => Buffer.concat([Buffer.from([0]), text(name), text(value)]);

function headers(method: string): Buffer {
  return Buffer.concat([
    header(':method', 'POST'),
    header(':scheme', 'http'),
    header(':path', method),
    header(':authority', 'localhost'),
    header('content-type', 'application/grpc'),
    header('te', 'trailers'),
  ]);
}

const setting = (id: number, value: number) => {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
};
const increment = (bytes: number) => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return payload;
};

/** A connection that keeps HTTP/2's rules as far as the attack needs them kept. */
class Connection {
  readonly socket: Socket;
  window = 65_535;
  next = 1;
  readonly #streams = new Set<number>();
  #rest = Buffer.alloc(0);
  onWindow = () => {};

  constructor(reads: boolean, onOpen: (connection: Connection) => void) {
    counts.connections += 1;
    this.socket = connect(path);
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      counts.closed += 1;
      // After a moment, as whoever is refused would.
      if (!ended) setTimeout(() => new Connection(reads, onOpen), 50);
    });
    if (reads) this.socket.on('data', (bytes: Buffer) => this.#read(bytes));
    this.socket.on('connect', () => {
      const windows = Buffer.concat([setting(0x4, 0x7fffffff), setting(0x1, 0)]);
      this.socket.write(PREFACE);
      this.socket.write(frame(SETTINGS, 0, 0, windows));
      this.socket.write(frame(WINDOW_UPDATE, 0, 0, increment(0x7fffffff - 65_535)));
      onOpen(this);
    });
  }

  get open(): number {
    return this.#streams.size;
  }

  begin(method: string, last = false): number {
    const stream = this.next;
    this.next += 2;
    this.#streams.add(stream);
    counts.calls += 1;
    this.socket.write(frame(HEADERS, END_HEADERS | (last ? END_STREAM : 0), stream, headers(method)));
    return stream;
  }

  /** One call with an empty message. */
  call(method: string): void {
    this.socket.write(frame(DATA, END_STREAM, this.begin(method), Buffer.alloc(5)));
  }

  #read(bytes: Buffer): void {
    counts.bytes += bytes.length;
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      if (this.#rest.length < 9) return;
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) return;
      const [type, flags] = [this.#rest[3] ?? 0, this.#rest[4] ?? 0];
      const payload = this.#rest.subarray(9, 9 + length);
      const stream = this.#rest.readUInt32BE(5);
      this.#rest = this.#rest.subarray(9 + length);
      if (type === SETTINGS && (flags & ACK) === 0) this.socket.write(frame(SETTINGS, ACK, 0));
      if (type === DATA && length > 0) this.socket.write(frame(WINDOW_UPDATE, 0, 0, increment(length)));
      if (type === WINDOW_UPDATE && stream === 0) {
        this.window += payload.readUInt32BE();
        this.onWindow();
      }
      if (type === RST_STREAM) counts.resets += 1;
      const over = type === RST_STREAM || ((flags & END_STREAM) !== 0 && (type === DATA || type === HEADERS));
      if (over && this.#streams.delete(stream)) counts.answers += 1;
      if (type === GOAWAY) this.socket.destroy();
    }
  }
}

let ended = false;
const CONNECTIONS = 64;
const many = (reads: boolean, act: (connection: Connection) => void, connections = CONNECTIONS) => {
  for (let index = 0; index < connections; index++) new Connection(reads, act);
};
/** Does something again and again, as often as the event loop allows. */
const endlessly = (act: () => void) => {
  const again = () => {
    if (ended) return;
    act();
    setImmediate(again);
  };
  again();
};

const ATTACKS: Record<string, () => void> = {
  // 64 connections of 120 streams that each begin a message of 64 KiB and never finish it.
  unfinished: () =>
    many(true, (connection) => {
      const begun = Buffer.alloc(15_000, 1);
      begun.writeUIntBE(0, 0, 1);
      begun.writeUInt32BE(65_536, 1);
      let stream = 0;
      let pieces = 0;
      const fill = () => {
        while (!ended && connection.window >= begun.length) {
          if (pieces === 0) {
            if (connection.open >= 120) return;
            stream = connection.begin(connection.next % 4 === 1 ? GET : WATCH);
            pieces = 4;
          }
          pieces -= 1;
          connection.window -= begun.length;
          connection.socket.write(frame(DATA, 0, stream, begun));
        }
      };
      connection.onWindow = fill;
      const timer = setInterval(() => (connection.socket.destroyed ? clearInterval(timer) : fill()), 20);
    }),
  // Calls whose answers are never read, as many as the socket takes.
  unread: () =>
    many(false, (connection) => {
      const timer = setInterval(() => {
        if (connection.socket.destroyed) clearInterval(timer);
        else if (connection.socket.writableLength < 65_536)
          for (let call = 0; call < 60; call++) connection.call(GET);
      }, 20);
    }),
  // Health and methods that do not exist, as fast as they are answered.
  unknown: () =>
    many(
      true,
      (connection) =>
        endlessly(() => {
          if (connection.socket.destroyed) return;
          while (connection.open < 100 && connection.socket.writableLength < 65_536)
            connection.call(connection.next % 4 === 1 ? '/grpc.health.v1.Health/Check' : '/no.such/Method');
        }),
      16,
    ),
  // 5,000 calls a second, on one connection after the other.
  rate: () => {
    const open: Connection[] = [];
    many(true, (connection) => open.push(connection), 8);
    let sent = 0;
    const from = performance.now();
    setInterval(() => {
      const alive = open.filter(({ socket }) => !socket.destroyed);
      const due = Math.min(((performance.now() - from) / 1_000) * 5_000 - sent, 500);
      for (let call = 0; call < due; call++) {
        sent += 1;
        const connection = alive[sent % alive.length];
        if (connection !== undefined && connection.open < 120 && connection.socket.writableLength < 65_536)
          connection.call(GET);
      }
    }, 2);
  },
  // Connects, asks for much, and hangs up at once.
  churn: () =>
    setInterval(() => {
      for (let index = 0; index < 20; index++) {
        const socket = connect(path);
        socket.on('error', () => {});
        counts.connections += 1;
        const calls = Array.from({ length: 50 }, (_, call) => [
          frame(HEADERS, END_HEADERS, call * 2 + 1, headers(GET)),
          frame(DATA, END_STREAM, call * 2 + 1, Buffer.alloc(5)),
        ]).flat();
        counts.calls += 50;
        socket.end(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), ...calls]), () => socket.destroy());
      }
    }, 20),
};

ATTACKS[attack]?.();
setInterval(() => process.stdout.write(`${JSON.stringify(counts)}\n`), 1_000);
process.stdin.on('end', () => {
  ended = true;
  process.exit(0);
});
process.stdin.resume();
