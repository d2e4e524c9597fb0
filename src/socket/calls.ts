/**
 * What every call on a socket goes through before its own work begins, whether its method is known or not. No method
 * decides any of this for itself.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Limits } from '../domain/limits.ts';
import type { Audit, AuditedCall } from '../observe/audit/audit.ts';
import type { Logger } from '../observe/log.ts';
import type { PeerConnection } from './connections.ts';
import { GrpcCall, sizeOf } from './grpc-call.ts';
import { Status } from './grpc-status.ts';
import type { MessageStream, Method, UnaryMethod } from './method.ts';
import { CallRefusal, socketRefusal, type WireStatus } from './refusal.ts';

export interface CallsOptions {
  readonly audit: Audit;
  readonly log: Logger;
  readonly limits: Limits;
  /** Told of each call that was let in. */
  readonly onCall?: () => void;
}

export function refuse(refusal: CallRefusal): never {
  throw refusal;
}

/** Parses a request; a message that is none is INVALID_ARGUMENT, and the parser's words go nowhere. */
export function parse<T>(what: string, parser: () => T): T {
  try {
    return parser();
  } catch {
    return refuse(socketRefusal({ kind: 'malformed-request', what }));
  }
}

/** Bytes of a response that cost about as much as a call. */
const BYTES_PER_REQUEST = 64 * 1024;

/**
 * What a byte of a method with large requests counts for. Such a request is mostly what nobody reads: Envoy opens a stream
 * for each secret, with 61 KB each, and gives up on its listener after 15 s.
 */
const LARGE_REQUEST_WEIGHT = 1 / 4;

/** Counts a call, or a message of one that costs as much as a call. */
export function countRequest({ usage }: PeerConnection): void {
  usage.throttle.began();
  if (usage.requests.take(performance.now())) return;
  usage.throttle.penalise();
  refuse(socketRefusal({ kind: 'too-many-requests' }));
}

/** Counts a response that costs more than a call does: it is paid by the calls that come after it. */
export function countResponse({ usage }: PeerConnection, bytes: number): void {
  const calls = Math.floor(bytes / BYTES_PER_REQUEST);
  usage.requests.owe(calls);
  usage.throttle.began(calls);
}

/** What the audit says of a method that does not exist. Its path is the peer's to choose, and is not repeated. */
const UNKNOWN_METHOD: AuditedCall = { service: 'unknown', operation: 'unknown' };

export class Calls {
  readonly #options: CallsOptions;
  readonly #methods = new Map<string, Method>();

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  add(methods: readonly Method[]): void {
    for (const method of methods) this.#methods.set(method.path, method);
  }

  /** Admits a call, does its work, and turns whatever is thrown into a status. */
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, connection: PeerConnection): void {
    const { limits } = this.#options;
    const { usage } = connection;
    // One was refused with words, and paused the UID. What had been read by then is not worth a response each.
    if (usage.throttle.paused) {
      stream.on('error', () => {});
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    const method = this.#methods.get(headers[':path'] ?? '');
    const { messageTimeoutMs, requestBytes } = limits;
    const call = new GrpcCall(
      stream,
      { usage, readable: connection },
      {
        messageTimeoutMs,
        requestBytes: method?.requestBytes ?? requestBytes,
        byteWeight: method?.requestBytes === undefined ? 1 : LARGE_REQUEST_WEIGHT,
      },
    );
    const audited = method?.audited ?? UNKNOWN_METHOD;
    connection.began();
    if (usage.calls - usage.watches > limits.callsPerUid) {
      usage.throttle.penalise();
      this.#explain(audited, connection, socketRefusal({ kind: 'too-many-calls' }));
      call.reset();
      return;
    }
    const attempt = (act: () => void) => {
      try {
        act();
      } catch (error) {
        call.end(this.#explain(audited, connection, error));
      }
    };
    attempt(() => {
      this.#admit(connection, headers);
      if (method === undefined) refuse(socketRefusal({ kind: 'no-such-method' }));
      if ('open' in method) method.open(connection, guarded(call, attempt));
      else answer(call, attempt, connection, method);
    });
  }

  /** Refuses a call for what every method would refuse it for. */
  #admit(connection: PeerConnection, headers: IncomingHttpHeaders): void {
    const { audit, onCall } = this.#options;
    const gone = connection.stillAllowed();
    if (gone !== undefined) {
      audit.peerRefused(connection.audited, gone);
      // Another process holds the descriptor now: it is told nothing.
      connection.close();
      refuse(socketRefusal({ kind: 'not-ready' }));
    }
    if (connection.excess) {
      connection.finish();
      refuse(socketRefusal({ kind: 'too-many-connections' }));
    }
    countRequest(connection);
    onCall?.();
    if (headers[':method'] !== 'POST' || !headers['content-type']?.startsWith('application/grpc'))
      refuse(socketRefusal({ kind: 'malformed-request', what: 'no gRPC' }));
  }

  /** Writes down why a call failed, and returns what the caller is told. */
  #explain(audited: AuditedCall, connection: PeerConnection, error: unknown): WireStatus {
    const { audit, log } = this.#options;
    const { operation } = audited;
    if (error instanceof CallRefusal) {
      const { kind, facts, wire } = error;
      // The facts are the audit's. What a peer asked for by name has no place in a log that it could fill.
      audit.denied(audited, connection.audited, kind, facts);
      log.debug(
        { operation, caller: connection.caller.name, uid: connection.audited.uid, refusal: kind },
        'call refused',
      );
      return wire;
    }
    log.error({ err: error, operation }, 'a call failed: a defect of the resolver');
    return socketRefusal({ kind: 'not-ready' }).wire;
  }
}

/** Does something; what it throws ends the call. */
type Attempt = (act: () => void) => void;

/** A unary call: one message, then the end, then the work. */
function answer(call: GrpcCall, attempt: Attempt, connection: PeerConnection, method: UnaryMethod): void {
  let request: Buffer | undefined;
  call.receive({
    message: (bytes) => {
      if (request === undefined) request = bytes;
      else attempt(() => refuse(socketRefusal({ kind: 'malformed-request', what: 'a second message' })));
    },
    end: () =>
      attempt(() => {
        // Before the work is done and audited as served.
        if (connection.usage.unread.full) refuse(socketRefusal({ kind: 'too-much-unread' }));
        if (request === undefined) refuse(socketRefusal({ kind: 'malformed-request', what: 'no message' }));
        const response = method.answer(connection, request);
        countResponse(connection, sizeOf(response));
        call.write(response);
        call.end({ code: Status.OK, details: '' });
      }),
    fault: (refusal) => attempt(() => refuse(refusal)),
  });
}

function guarded(call: GrpcCall, attempt: Attempt): MessageStream {
  let received = false;
  const end = (refusal: CallRefusal) => attempt(() => refuse(refusal));
  return {
    receive: (listener) =>
      call.receive({
        message: (bytes) => {
          received = true;
          attempt(() => listener(bytes));
        },
        end: () => {
          if (!received) end(socketRefusal({ kind: 'malformed-request', what: 'no message' }));
        },
        fault: end,
      }),
    write: (message, sent) => call.write(message, sent),
    end,
    onClose: (listener) => call.onClose(listener),
  };
}
