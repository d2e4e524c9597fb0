/**
 * One gRPC call on an HTTP/2 stream: whole messages in, whole messages out, a status at the end. Everything that it
 * holds is counted against its UID: itself, what came in and is not complete, what went out and is not read.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Limits } from '../domain/limits.ts';
import { Status } from './grpc-status.ts';
import type { Message } from './method.ts';
import { type CallRefusal, socketRefusal, type WireStatus } from './refusal.ts';
import type { Readable } from './throttle.ts';
import type { UidUsage } from './usage.ts';

/** A flag, and the length of the message in four bytes. */
const PREFIX_BYTES = 5;
const HEADERS = { ':status': 200, 'content-type': 'application/grpc' } as const;

export interface Receiver {
  readonly message: (bytes: Buffer) => void;
  /** The peer has sent its last message. */
  readonly end: () => void;
  /** What the peer sends is no gRPC, or too much, or too slow. Nothing more is received. */
  readonly fault: (refusal: CallRefusal) => void;
}

/** `byteWeight`: what a byte counts for in the rate of bytes. */
type CallLimits = Pick<Limits, 'requestBytes' | 'messageTimeoutMs'> & { readonly byteWeight: number };

/** Whom a call is counted against. `readable`: its connection, where that can be held back. */
export interface CallOrigin {
  readonly usage: UidUsage;
  readonly readable?: Readable;
}

export class GrpcCall {
  readonly #stream: ServerHttp2Stream;
  readonly #usage: UidUsage;
  readonly #readable: Readable | undefined;
  readonly #limits: CallLimits;
  #receiver: Receiver | undefined;
  #chunks: Buffer[] = [];
  #held = 0;
  #deadline: NodeJS.Timeout | undefined;
  #status: WireStatus | undefined;

  constructor(stream: ServerHttp2Stream, { usage, readable }: CallOrigin, limits: CallLimits) {
    this.#stream = stream;
    this.#usage = usage;
    this.#readable = readable;
    this.#limits = limits;
    usage.calls += 1;
    // A peer that goes away is no event; without a listener it would end the process.
    stream.on('error', () => {});
    stream.once('close', () => {
      usage.calls -= 1;
      this.#stopReceiving();
    });
  }

  receive(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#await();
    this.#stream.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#stream.once('end', () => {
      const { length } = this.#chunks;
      const ended = this.#receiver;
      this.#stopReceiving();
      if (length > 0) ended?.fault(socketRefusal({ kind: 'malformed-request', what: 'half a message' }));
      else ended?.end();
    });
  }

  /** Sends one message; `sent` is called when it has left the process, or never will. On a call that has ended neither happens. */
  write(message: Message, sent: () => void = () => {}): void {
    const stream = this.#stream;
    if (this.#gone || this.#status !== undefined) return;
    const bytes = Buffer.isBuffer(message) ? message : message.bytes;
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(bytes.byteLength, 1);
    const { unread } = this.#usage;
    unread.take(bytes.byteLength);
    const used = Buffer.isBuffer(message) ? undefined : message.use();
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      stream.off('close', release);
      used?.();
      unread.give(bytes.byteLength);
      sent();
    };
    stream.once('close', release);
    if (!stream.headersSent) {
      stream.respond(HEADERS, { waitForTrailers: true });
      stream.once('wantTrailers', () => {
        stream.sendTrailers(trailersOf(this.#status ?? { code: Status.OK, details: '' }));
        this.#closeUnlessEnded();
      });
    }
    stream.cork();
    stream.write(prefix);
    stream.write(bytes, release);
    stream.uncork();
  }

  end(status: WireStatus): void {
    const stream = this.#stream;
    if (this.#status !== undefined || this.#gone) return;
    this.#status = status;
    this.#stopReceiving();
    if (stream.headersSent) {
      stream.end();
      return;
    }
    stream.respond({ ...HEADERS, ...trailersOf(status) }, { endStream: true });
    this.#closeUnlessEnded();
  }

  /** A stream that its peer has reset is closed before it is destroyed, and everything that is sent on it throws. */
  get #gone(): boolean {
    return this.#stream.closed || this.#stream.destroyed;
  }

  onClose(listener: () => void): void {
    this.#stream.once('close', listener);
  }

  /** Ends it with three bytes of state instead of a response, for a peer that has too many calls open. */
  reset(): void {
    this.#stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /** A peer that is not done sending is not waited for. In the next turn: in this one the reset overtakes the status. */
  #closeUnlessEnded(): void {
    const stream = this.#stream;
    if (stream.readableEnded) return;
    setImmediate(() => {
      if (!this.#gone) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  #take(chunk: Buffer): void {
    if (this.#receiver === undefined) {
      chunk.fill(0);
      return;
    }
    const { inbound, throttle } = this.#usage;
    throttle.received(chunk.byteLength, this.#limits.byteWeight);
    if (inbound.full) {
      chunk.fill(0);
      this.#fault(socketRefusal({ kind: 'too-much-unfinished' }));
      return;
    }
    this.#chunks.push(chunk);
    this.#hold(chunk.byteLength);
    while (this.#receiver !== undefined && this.#held >= PREFIX_BYTES) {
      const prefix = this.#gathered(PREFIX_BYTES);
      const length = prefix.readUInt32BE(1);
      if (prefix[0] !== 0 || length > this.#limits.requestBytes) {
        const kind = prefix[0] === 0 ? 'request-too-large' : 'request-compressed';
        this.#fault(socketRefusal({ kind }));
        return;
      }
      if (this.#held < PREFIX_BYTES + length) break;
      const message = this.#gathered(PREFIX_BYTES + length).subarray(PREFIX_BYTES, PREFIX_BYTES + length);
      this.#drop(PREFIX_BYTES + length);
      this.#receiver.message(message);
    }
    if (this.#held > 0) {
      this.#await();
      // A view of what was read from the connection would keep all of that in memory. Only the last can be one.
      if (this.#chunks.at(-1) === chunk) this.#chunks.splice(-1, 1, copied(chunk));
    } else this.#clearDeadline();
  }

  /** The buffered bytes in one chunk, or at least the first `bytes` of them. */
  #gathered(bytes: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.byteLength >= bytes) return first;
    const all = Buffer.concat(this.#chunks);
    for (const chunk of this.#chunks) chunk.fill(0);
    this.#chunks = [all];
    return all;
  }

  /** Takes bytes off what is buffered; they lie in the first chunk. */
  #drop(bytes: number): void {
    const [first, ...others] = this.#chunks;
    if (first === undefined) return;
    this.#chunks = first.byteLength === bytes ? others : [first.subarray(bytes), ...others];
    this.#hold(-bytes);
  }

  #hold(bytes: number): void {
    const { inbound, throttle } = this.#usage;
    this.#held += bytes;
    if (bytes > 0) inbound.take(bytes);
    else inbound.give(-bytes);
    if (this.#readable !== undefined) throttle.holds(this.#readable, bytes);
  }

  #await(): void {
    this.#deadline ??= setTimeout(
      () => this.#fault(socketRefusal({ kind: 'request-too-slow' })),
      this.#limits.messageTimeoutMs,
    ).unref();
  }

  #clearDeadline(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  #fault(refusal: CallRefusal): void {
    const receiver = this.#receiver;
    this.#stopReceiving();
    receiver?.fault(refusal);
  }

  #stopReceiving(): void {
    this.#receiver = undefined;
    this.#clearDeadline();
    for (const chunk of this.#chunks) chunk.fill(0);
    this.#chunks = [];
    this.#hold(-this.#held);
  }
}

function copied(chunk: Buffer): Buffer {
  const own = Buffer.from(Uint8Array.from(chunk).buffer);
  chunk.fill(0);
  return own;
}

export function sizeOf(message: Message): number {
  return Buffer.isBuffer(message) ? message.byteLength : message.bytes.byteLength;
}

function trailersOf({ code, details }: WireStatus): Record<string, string> {
  if (details === '') return { 'grpc-status': String(code) };
  const message = details.replaceAll(/[^\x20-\x24\x26-\x7e]/g, encodeURIComponent);
  return { 'grpc-status': String(code), 'grpc-message': message };
}
