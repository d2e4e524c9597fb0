import { type ServiceError, status } from '@grpc/grpc-js';

/** What went wrong, in the words of the resolver's own statuses. */
export type ResolverErrorCode =
  /** A provider that this caller may not see, or that does not exist. Asking again does not help. */
  | 'permission-denied'
  /** The boundary is not proven, or a required credential is refused. May heal. */
  | 'failed-precondition'
  /** Nobody answers, the resolver is starting or stopping, or it does not know this UID and hung up. */
  | 'unavailable'
  /** Too many connections, watches or requests of this UID. */
  | 'resource-exhausted'
  /** The request breaks a rule: a defect of the caller. */
  | 'invalid-argument'
  /** The resolver is older than this client. */
  | 'unimplemented'
  /** Anything else. */
  | 'internal';

/** Every error of this library. Its message is the resolver's fixed sentence: it never holds a value. */
export class ResolverError extends Error {
  override readonly name = 'ResolverError';
  readonly code: ResolverErrorCode;
  constructor(code: ResolverErrorCode, message: string) {
    super(message);
    this.code = code;
  }

  /** Whether the same call may succeed later without anybody changing anything here. */
  get retryable(): boolean {
    return (
      this.code === 'unavailable' ||
      this.code === 'resource-exhausted' ||
      this.code === 'failed-precondition' ||
      this.code === 'internal'
    );
  }
}

/** One map from gRPC's codes to ours. */
export function toResolverError(error: ServiceError): ResolverError {
  return new ResolverError(codeOf(error.code), plainDetails(error.details));
}

/** The resolver's own sentence as it is; what the library says about a connection, cut to what a person can use. */
function plainDetails(details: string): string {
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
