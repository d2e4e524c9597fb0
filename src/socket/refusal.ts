/** What a call can be refused for, and the one place where a reason becomes what the caller is told. */
import { Status } from './grpc-status.ts';

/** What goes over the wire. */
export interface WireStatus {
  readonly code: Status;
  readonly details: string;
}

/** A reason with its facts, for the log and the audit, and what the caller is told. */
export interface CallRefusal {
  readonly kind: string;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly wire: WireStatus;
}

/**
 * Makes refusals of a union of reasons: each consumer has a union of its own. `words` translates deliberately
 * vaguely: a caller learns what it can do, not what it came upon. A switch in it makes a forgotten reason a compile
 * error.
 */
export function refusalsOf<R extends { readonly kind: string }>(
  words: (reason: R) => WireStatus,
): (reason: R) => CallRefusal {
  return (reason) => {
    const { kind, ...facts } = reason;
    return { kind, facts, wire: words(reason) };
  };
}

/** What any call on any socket can be refused for. */
export type SocketRefusal =
  | { readonly kind: 'boundary-broken'; readonly findings: readonly string[] }
  | { readonly kind: 'not-ready' }
  | { readonly kind: 'draining' }
  | { readonly kind: 'too-many-connections' }
  | { readonly kind: 'too-many-calls' }
  | { readonly kind: 'too-many-watches' }
  | { readonly kind: 'too-many-requests' }
  | { readonly kind: 'too-much-unread' }
  | { readonly kind: 'too-much-unfinished' }
  | { readonly kind: 'request-too-large' }
  | { readonly kind: 'request-too-slow' }
  | { readonly kind: 'request-compressed' }
  | { readonly kind: 'malformed-request'; readonly what: string }
  | { readonly kind: 'no-such-method' };

export const socketRefusal = refusalsOf<SocketRefusal>((reason) => {
  const { kind } = reason;
  switch (kind) {
    case 'boundary-broken':
      return {
        code: Status.FAILED_PRECONDITION,
        details: 'the isolation boundary is not proven; nothing is served',
      };
    case 'not-ready':
      return { code: Status.UNAVAILABLE, details: 'not ready yet; try again' };
    case 'draining':
      return { code: Status.UNAVAILABLE, details: 'shutting down; try again' };
    case 'too-many-connections':
      return { code: Status.RESOURCE_EXHAUSTED, details: 'too many connections of this UID' };
    case 'too-many-calls':
      return { code: Status.RESOURCE_EXHAUSTED, details: 'too many open calls of this UID' };
    case 'too-many-watches':
      return { code: Status.RESOURCE_EXHAUSTED, details: 'too many watches of this UID' };
    case 'too-many-requests':
      return { code: Status.RESOURCE_EXHAUSTED, details: 'too many requests of this UID; slow down' };
    case 'too-much-unread':
      return {
        code: Status.RESOURCE_EXHAUSTED,
        details: 'too many responses of this UID are unread; read them first',
      };
    case 'too-much-unfinished':
      return {
        code: Status.RESOURCE_EXHAUSTED,
        details: 'too many unfinished requests of this UID; finish them first',
      };
    case 'request-too-large':
      return { code: Status.RESOURCE_EXHAUSTED, details: 'the request is too large' };
    case 'request-too-slow':
      return { code: Status.DEADLINE_EXCEEDED, details: 'the request was not complete in time' };
    case 'request-compressed':
      return { code: Status.UNIMPLEMENTED, details: 'compressed requests are not supported' };
    case 'malformed-request':
      return { code: Status.INVALID_ARGUMENT, details: 'the request is malformed' };
    case 'no-such-method':
      return { code: Status.UNIMPLEMENTED, details: 'no such method' };
  }
});
