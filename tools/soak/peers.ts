/**
 * A hostile peer, under the UID it is started with. It executes commands, and reports how many bytes it received, without
 * reading their content.
 *
 *   peers.ts <socket>
 */
import { randomBytes } from 'node:crypto';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICE } from '../../test/support/raw-calls.ts';
import { type Disturbance, randomFrom } from './plan.ts';

export interface Order {
  readonly id: number;
  /** Or to say what it holds. */
  readonly action: Disturbance | 'count';
  readonly seed: number;
}

export interface Done {
  readonly id: number;
  readonly connections: number;
  readonly bytes: number;
  /** Watches that it holds open, as far as it knows. */
  readonly watches: number;
}

const [path = ''] = process.argv.slice(2);
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const EMPTY_SETTINGS = Buffer.from('000000040000000000', 'hex');
/** A gRPC message with `Subscribe {}` in it. */
const SUBSCRIBE = Buffer.from('00000000020a00', 'hex');
const EMPTY_REQUEST = Buffer.alloc(5);

let watches = 0;

/** Connections of one order: counted and closed together. */
class Connections {
  readonly #sockets: Socket[] = [];
  /** Sessions whose server spoke: HTTP/2 may have taken the socket's own count with it. */
  #spoken = 0;

  open(): Socket {
    const socket = connect(path);
    socket.on('error', () => {});
    socket.resume();
    this.#sockets.push(socket);
    return socket;
  }

  session(options: { readonly initialWindowSize?: number } = {}): ClientHttp2Session {
    // HTTP/2 reads by itself.
    const socket = connect(path);
    this.#sockets.push(socket);
    const session = connectHttp2('http://localhost', {
      createConnection: () => socket,
      settings: options,
      maxSendHeaderBlockLength: 4 * 1024 * 1024,
    });
    session.on('error', () => {});
    session.once('remoteSettings', () => {
      this.#spoken += 1;
    });
    socket.on('error', () => {});
    return session;
  }

  end(): Pick<Done, 'connections' | 'bytes'> {
    const bytes = this.#sockets.reduce((sum, { bytesRead }) => sum + (bytesRead ?? 0), this.#spoken);
    for (const socket of this.#sockets) socket.destroy();
    return { connections: this.#sockets.length, bytes };
  }
}

function ask(session: ClientHttp2Session, method: string, headers: Readonly<Record<string, string>> = {}) {
  const stream: ClientHttp2Stream = session.request({
    ':method': 'POST',
    ':path': `${SERVICE}/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => {});
  return stream;
}

const ACTIONS: Readonly<
  Record<Disturbance, (connections: Connections, random: () => number) => Promise<void>>
> = {
  async flood(connections, random) {
    for (let count = 0; count < 200; count++) connections.open();
    await sleep(100 + random() * 900);
  },
  async 'half-open'(connections, random) {
    for (let count = 0; count < 20; count++) connections.open().write(PREFACE.subarray(0, 10));
    // Some of them beyond the time that a peer has for its first call.
    await sleep(1_000 + random() * 11_000);
  },
  async garbage(connections, random) {
    for (let count = 0; count < 10; count++) {
      const socket = connections.open();
      if (random() < 0.7) socket.write(Buffer.concat([PREFACE, EMPTY_SETTINGS]));
      socket.write(randomBytes(16 + Math.floor(random() * 16_384)));
    }
    await sleep(500);
  },
  async 'huge-headers'(connections, random) {
    for (let count = 0; count < 4; count++) {
      const value = 'x'.repeat(Math.floor(8_192 + random() * 1_000_000));
      ask(connections.session(), 'GetProviderEnvironment', { 'x-much': value }).resume();
    }
    await sleep(1_000);
  },
  async 'idle-watchers'(connections, random) {
    for (let count = 0; count < 8; count++) {
      // No window: the server may never send a byte of an answer.
      const stream = ask(connections.session({ initialWindowSize: 0 }), 'WatchProviderEnvironment');
      watches += 1;
      stream.once('close', () => {
        watches -= 1;
      });
      stream.write(SUBSCRIBE);
    }
    await sleep(1_000 + random() * 9_000);
  },
  async 'call-flood'(connections) {
    const session = connections.session();
    for (let count = 0; count < 1_500; count++) {
      const stream = ask(session, 'GetProviderEnvironment');
      stream.resume();
      stream.end(EMPTY_REQUEST);
    }
    await sleep(1_500);
  },
};

// A session that is destroyed in the middle of a request throws at whoever writes next: that is our own noise.
process.on('uncaughtException', () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', async ({ id, action, seed }: Order) => {
  const connections = new Connections();
  if (action !== 'count') await ACTIONS[action](connections, randomFrom(seed)).catch(() => {});
  process.send?.({ id, ...connections.end(), watches } satisfies Done);
});
