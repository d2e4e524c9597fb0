import { type ServiceError, status } from '@grpc/grpc-js';

/** Why a call failed. README lists what to do about each. */
export type ResolverErrorCode =
  /** A provider that this caller may not see, or that does not exist. Asking again does not help. */
  | 'permission-denied'
  /** The boundary is not proven, or a required credential is refused. May pass without a change here. */
  | 'failed-precondition'
  /** No answer: the resolver is starting or stopping, or its `callers` do not list this UID and it hung up. */
  | 'unavailable'
  /** Too many connections, watches or requests of this UID. */
  | 'resource-exhausted'
  /** The request breaks a rule of the protocol. */
  | 'invalid-argument'
  /** The resolver is older than this client. */
  | 'unimplemented'
  /** Anything else. */
  | 'internal';

/** Every error of this library. Neither its message, the resolver's fixed sentence, nor its cause holds a value. */
export class ResolverError extends Error {
  override readonly name = 'ResolverError';
  readonly code: ResolverErrorCode;
  /** Path of the socket that was asked. */
  readonly socket: string;

  /** `cause` is the error of the gRPC library, where there is one. */
  constructor(code: ResolverErrorCode, message: string, options: { socket: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.socket = options.socket;
  }

  /** Whether the same call may succeed later without a change on this side. */
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

/** The resolver's own sentence; of the library's report about a connection, only the error code. */
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
