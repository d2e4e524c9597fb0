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
    return (
      this.code === 'unavailable' ||
      this.code === 'resource-exhausted' ||
      this.code === 'failed-precondition' ||
      this.code === 'internal'
    );
  }
}

export function toResolverError(error: ServiceError, socket: string): ResolverError {
  return new ResolverError(codeOf(error.code), messageOf(error.details), { socket, cause: error });
}

/** The resolver's own message. Of the gRPC library's connection report, only the error code is kept. */
function messageOf(details: string): string {
  if (details === '') return 'the call failed';
  if (!details.startsWith('No connection established')) return details;
  const code = /\b(E[A-Z]{3,})\b/.exec(details)?.[1];
  return code === undefined ? 'no connection' : `no connection (${code})`;
}

function codeOf(code: status): ResolverErrorCode {
  switch (code) {
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return 'permission-denied';
    case status.FAILED_PRECONDITION:
      return 'failed-precondition';
    case status.UNAVAILABLE:
    case status.CANCELLED:
    case status.DEADLINE_EXCEEDED:
      return 'unavailable';
    case status.RESOURCE_EXHAUSTED:
      return 'resource-exhausted';
    case status.INVALID_ARGUMENT:
      return 'invalid-argument';
    case status.UNIMPLEMENTED:
      return 'unimplemented';
    default:
      return 'internal';
  }
}
