/**
 * What every call goes through, in this order, before its own work begins: which connection, is its peer still
 * the process that was let in, has it calls left, is the boundary whole and a snapshot there. No handler
 * decides any of this for itself.
 */
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  ServerDuplexStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Audit } from '../observe/audit/audit.ts';
import type { Logger } from '../observe/log.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { Connections, PeerConnection } from './connections.ts';
import { type CallRefusal, type WireStatus, wireStatus } from './refusal.ts';
import type { ServingState } from './serving-state.ts';

export interface CallsOptions {
  readonly connections: Connections;
  readonly state: ServingState;
  readonly audit: Audit;
  readonly log: Logger;
  /** Told of each call that was let in. */
  readonly onCall?: () => void;
}

/** A refusal on its way out of a handler. Not an Error: it has no stack and no message that could be logged by chance. */
export class Refused {
  readonly refusal: CallRefusal;
  constructor(refusal: CallRefusal) {
    this.refusal = refusal;
  }
}

/** Ends a handler with a refusal. */
export function refuse(refusal: CallRefusal): never {
  throw new Refused(refusal);
}

/** A raw gRPC method: bytes in, bytes out, so that the library neither parses nor encodes. */
export interface RawMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (bytes: Buffer) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Buffer;
  readonly responseSerialize: (bytes: Buffer) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Buffer;
}

const identity = (bytes: Buffer): Buffer => bytes;

/** `response: true` for a method of {@link Calls.unary} too: see there. */
export function rawMethod(path: string, stream: { request: boolean; response: boolean }): RawMethod {
  return {
    path,
    requestStream: stream.request,
    responseStream: stream.response,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

export type RawStream = ServerDuplexStream<Buffer, Buffer>;
export type RawImplementation = UntypedServiceImplementation;

/** Parses a request; a message that is none is INVALID_ARGUMENT, and the parser's words go nowhere. */
export function parse<T>(what: string, parser: () => T): T {
  try {
    return parser();
  } catch {
    return refuse({ kind: 'malformed-request', what });
  }
}

export class Calls {
  readonly #options: CallsOptions;
  #after: (() => void)[] = [];

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /**
   * A unary call: `work` returns the encoded response or refuses. To gRPC it is a stream of one response, which
   * is the same on the wire: only so does the library tell when the peer has read it.
   */
  unary(
    operation: string,
    work: (connection: PeerConnection, request: Buffer) => Buffer,
  ): handleServerStreamingCall<Buffer, Buffer> {
    return (stream) =>
      this.#handle(operation, stream, (connection) => {
        const { unread } = connection.usage;
        // Before the work is done and written down as served.
        if (unread.full) refuse({ kind: 'too-much-unread' });
        const response = work(connection, stream.request);
        unread.take(response.byteLength);
        let held = true;
        const read = () => {
          if (held) unread.give(response.byteLength);
          held = false;
        };
        stream.once('cancelled', read);
        stream.once('close', read);
        stream.write(response, read);
        stream.end();
      });
  }

  /** A bidirectional call: `work` takes over the stream or refuses. */
  bidirectional(
    operation: string,
    work: (connection: PeerConnection, stream: RawStream) => void,
  ): handleBidiStreamingCall<Buffer, Buffer> {
    return (stream) => this.#handle(operation, stream, (connection) => work(connection, stream));
  }

  /**
   * Does something as soon as what was written in this turn of the event loop has left the process: HTTP/2 sends at the
   * turn's end, and what is written down must not hold a value up, nor its withdrawal.
   */
  afterSending(work: () => void): void {
    if (this.#after.push(work) === 1) setImmediate(() => this.catchUp());
  }

  /** Does what waits for {@link afterSending}, for a process that is about to end. */
  catchUp(): void {
    const waiting = this.#after;
    this.#after = [];
    for (const work of waiting) work();
  }

  /** The snapshot in force, or the refusal that there is none. */
  snapshot(): Snapshot {
    const state = this.#options.state.snapshot();
    return 'snapshot' in state ? state.snapshot : refuse(state.refusal);
  }

  /** Writes down why a call failed, and returns what the caller is told. */
  explain(operation: string, connection: PeerConnection, error: unknown): WireStatus {
    const { audit, log } = this.#options;
    if (error instanceof Refused) {
      const { kind, ...facts } = error.refusal;
      // The facts are the audit's. What a peer asked for by name has no place in a log that it could fill.
      audit.denied(operation, connection.audited, kind, facts);
      log.debug(
        { operation, caller: connection.caller.name, uid: connection.audited.uid, refusal: kind },
        'call refused',
      );
      return wireStatus(error.refusal);
    }
    log.error({ err: error, operation }, 'a call failed: a defect of the resolver');
    return wireStatus({ kind: 'not-ready' });
  }

  /** Finds the connection of a call, admits the call, does its work, and turns whatever is thrown into a status. */
  #handle(
    operation: string,
    stream: Pick<RawStream, 'getPeer' | 'emit'>,
    work: (connection: PeerConnection) => void,
  ): void {
    const connection = this.#options.connections.get(stream.getPeer());
    if (connection === undefined) {
      stream.emit('error', wireStatus({ kind: 'not-ready' }));
      return;
    }
    connection.began();
    try {
      this.#admit(connection);
      work(connection);
    } catch (error) {
      stream.emit('error', this.explain(operation, connection, error));
    }
  }

  #admit(connection: PeerConnection): void {
    const gone = connection.stillAllowed();
    if (gone !== undefined) {
      this.#options.audit.peerRefused(connection.audited, typeof gone === 'string' ? gone : gone.kind);
      // Whoever holds the descriptor now is not the process that was let in: it is told nothing.
      connection.close();
      refuse({ kind: 'not-ready' });
    }
    if (connection.excess) {
      setImmediate(connection.close);
      refuse({ kind: 'too-many-connections' });
    }
    if (!connection.usage.requests.take(performance.now())) refuse({ kind: 'too-many-requests' });
    this.#options.onCall?.();
  }
}
