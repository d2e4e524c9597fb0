/**
 * A proxy on a Unix socket: clients connect to it instead of the resolver, it forwards every byte, and it counts the
 * HTTP/2 PING frames that clients send. This proves that keepalives really happened.
 */
import { createConnection, createServer, type Server } from 'node:net';

/** The text that opens an HTTP/2 connection, before the first frame. */
const PREFACE_BYTES = 24;
const FRAME_HEADER_BYTES = 9;
const PING = 6;
const ACK = 1;

export class Tap implements Disposable {
  /** PING frames from clients, not counting replies to the server's pings. */
  pings = 0;
  connections = 0;
  readonly #server: Server;

  constructor(path: string, target: string) {
    this.#server = createServer((client) => {
      this.connections++;
      const resolver = createConnection(target);
      const countFrame = frameReader((type, flags) => {
        if (type === PING && (flags & ACK) === 0) this.pings++;
      });
      client.on('data', countFrame).pipe(resolver).pipe(client);
      for (const [one, other] of [
        [client, resolver],
        [resolver, client],
      ] as const) {
        one.on('error', () => {}).on('close', () => other.destroy());
      }
    }).listen(path);
  }

  [Symbol.dispose](): void {
    this.#server.close();
  }
}

/** Calls back for each frame of a client's byte stream, however it is split into chunks. */
function frameReader(onFrame: (type: number, flags: number) => void): (bytes: Buffer) => void {
  let skip = PREFACE_BYTES;
  let header = Buffer.alloc(0);
  return (bytes) => {
    for (let at = 0; at < bytes.length; ) {
      const passed = Math.min(skip, bytes.length - at);
      skip -= passed;
      at += passed;
      const wanted = bytes.subarray(at, at + FRAME_HEADER_BYTES - header.length);
      header = Buffer.concat([header, wanted]);
      at += wanted.length;
      if (header.length === FRAME_HEADER_BYTES) {
        onFrame(header.readUInt8(3), header.readUInt8(4));
        skip = header.readUIntBE(0, 3);
        header = Buffer.alloc(0);
      }
    }
  };
}
