import { type ServiceError, status } from '@grpc/grpc-js';

/** Why a call failed. The README says what to do about each code. */
export type ResolverErrorCode =
  /** The provider does not exist, or this caller may not see it. Retrying does not help. */
  | 'permission-denied'
  /** The boundary check failed, or a required credential is refused. May clear without a change on this side. */
  | 'failed-precondition'
  /** No response: the resolver is starting or stopping, or it closed the connection because `callers` does not list this UID. */
  | 'unavailable'
  /** This UID has too many connections, watches or requests. */
  | 'resource-exhausted'
  /** The request violates the protocol. */
  | 'invalid-argument'
  /** The resolver is older than this client. */
  | 'unimplemented'
  /** Anything else. */
  | 'internal';

/** Every error that this library throws. Neither the message, which is a fixed sentence of the resolver, nor the cause holds a value. */
export class ResolverError extends Error {
  override readonly name = 'ResolverError';
  readonly code: ResolverErrorCode;
  /** Path of the socket that was called. */
  readonly socket: string;

  /** `cause` is the error of the gRPC library, if any. */
  constructor(code: ResolverErrorCode, message: string, options: { socket: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.socket = options.socket;
  }

  /** Whether a retry may succeed without a change on this side. */
  get retryable(): boolean {
    return !['permission-denied', 'invalid-argument', 'unimplemented'].includes(this.code);
  }
}

export function toResolverError(error: ServiceError, socket: string): ResolverError {
  return new ResolverError(CODES[error.code] ?? 'internal', messageOf(error.details), {
    socket,
    cause: error,
  });
}

/** The resolver's own message. Of the gRPC library's connection report, only the error code is kept. */
function messageOf(details: string): string {
  if (details === '') return 'the call failed';
  if (!details.startsWith('No connection established')) return details;
  const code = /\b(E[A-Z]{3,})\b/.exec(details)?.[1];
  return code === undefined ? 'no connection' : `no connection (${code})`;
}

const CODES: Partial<Record<status, ResolverErrorCode>> = {
  [status.PERMISSION_DENIED]: 'permission-denied',
  [status.UNAUTHENTICATED]: 'permission-denied',
  [status.FAILED_PRECONDITION]: 'failed-precondition',
  [status.UNAVAILABLE]: 'unavailable',
  [status.CANCELLED]: 'unavailable',
  [status.DEADLINE_EXCEEDED]: 'unavailable',
  [status.RESOURCE_EXHAUSTED]: 'resource-exhausted',
  [status.INVALID_ARGUMENT]: 'invalid-argument',
  [status.UNIMPLEMENTED]: 'unimplemented',
};
